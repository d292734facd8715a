from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.appointments.rules import (
    EARLY,
    OPEN,
    PATIENT,
    Act,
    AppointmentState,
    Refused,
    after,
    may_be_offered,
    moment,
    offered,
    place,
    wish,
)

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
SOON = NOON + timedelta(days=1)
MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
S = AppointmentState

ANSWERS = {
    (S.PROPOSED, Act.CONFIRM): S.CONFIRMED,
    (S.PROPOSED, Act.MOVE): S.MOVE_REQUESTED,
    (S.PROPOSED, Act.CANCEL): S.CANCELLED,
    (S.MOVED, Act.CONFIRM): S.CONFIRMED,
    (S.MOVED, Act.MOVE): S.MOVE_REQUESTED,
    (S.MOVED, Act.CANCEL): S.CANCELLED,
    (S.CONFIRMED, Act.CONFIRM): S.CONFIRMED,
    (S.CONFIRMED, Act.MOVE): S.MOVE_REQUESTED,
    (S.CONFIRMED, Act.CANCEL): S.CANCELLED,
    (S.MOVE_REQUESTED, Act.CONFIRM): Refused.NOT_NOW,
    (S.MOVE_REQUESTED, Act.MOVE): S.MOVE_REQUESTED,
    (S.MOVE_REQUESTED, Act.CANCEL): S.CANCELLED,
    (S.CANCELLED, Act.CANCEL): S.CANCELLED,
}


@pytest.mark.parametrize(("before", "act"), list(product(S, sorted(PATIENT))))
def test_a_patient_may_answer_what_the_table_says_and_nothing_else(
    before: AppointmentState, act: Act
) -> None:
    wanted = ANSWERS.get((before, act), Refused.ENDED)
    assert after(act, before, starts_at=SOON, at=NOON) == wanted


@pytest.mark.parametrize(("before", "act"), list(product(sorted(OPEN), sorted(PATIENT))))
def test_after_the_time_an_answer_changes_nothing(before: AppointmentState, act: Act) -> None:
    found = after(act, before, starts_at=NOON, at=NOON)
    assert found in (before, Refused.ENDED, Refused.NOT_NOW)


def test_nothing_brings_a_cancelled_visit_back() -> None:
    acts = set(Act) - {Act.PROPOSE, Act.CANCEL}
    found = {after(act, S.CANCELLED, starts_at=NOON, at=NOON + EARLY) for act in acts}
    assert found == {Refused.ENDED}
    assert not may_be_offered(S.CANCELLED)


def test_a_patient_may_come_early_but_not_fail_to_come_early() -> None:
    early = SOON - EARLY
    assert after(Act.ARRIVE, S.CONFIRMED, starts_at=SOON, at=early) is S.ARRIVED
    earlier = early - timedelta(seconds=1)
    assert after(Act.ARRIVE, S.CONFIRMED, starts_at=SOON, at=earlier) is Refused.NOT_NOW
    assert after(Act.MISS, S.CONFIRMED, starts_at=SOON, at=early) is Refused.NOT_NOW
    assert after(Act.MISS, S.CONFIRMED, starts_at=SOON, at=SOON) is S.NO_SHOW
    assert after(Act.ARRIVE, S.NO_SHOW, starts_at=SOON, at=SOON) is S.ARRIVED


def test_only_another_time_is_a_moved_visit() -> None:
    assert offered(old=None, new=SOON) is S.PROPOSED
    assert offered(old=SOON, new=SOON) is S.PROPOSED
    assert offered(old=NOON, new=SOON) is S.MOVED


def test_an_hour_that_the_clocks_skip_is_refused() -> None:
    told = moment(date(2027, 3, 28), time(2, 30), BERLIN, at=NOON)
    assert isinstance(told, str)
    assert "clocks go forward" in told


def test_an_hour_that_comes_twice_means_its_first_time() -> None:
    found = moment(date(2027, 10, 31), time(2, 30), BERLIN, at=NOON)
    assert found == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hour"),
    [
        (date(2027, 3, 1), time(15, 0)),
        (date(2027, 2, 28), time(23, 59)),
        (date(2028, 3, 2), time(10, 0)),
        (date.min, time.min),
        (date.max, time.max),
    ],
)
def test_what_has_passed_or_lies_more_than_a_year_ahead_is_refused(day: date, hour: time) -> None:
    assert isinstance(moment(day, hour, MOSCOW, at=NOON), str)


@given(st.dates(), st.times(), st.sampled_from(["Europe/Moscow", "Europe/Berlin", "Asia/Gaza"]))
def test_a_moment_shows_the_same_wall_clock_or_is_refused(day: date, hour: time, name: str) -> None:
    zone = ZoneInfo(name)
    found = moment(day, hour, zone, at=NOON)
    if isinstance(found, datetime):
        assert found > NOON
        assert found.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, hour)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " \u00a0",
        "a\r\nb",
        "a\nb",
        "a\tb",
        "\x00",
        "<b>",
        "=?x",
        "⟦x⟧",
        "\u202e",
        "\ufffd",
        "х" * 301,
    ],
)
def test_a_place_is_one_plain_line(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        place(typed)


def test_a_place_loses_only_what_nobody_sees() -> None:
    assert place("\u00a0Речная  ул.,\u00a012 ") == "Речная ул., 12"


def test_a_wish_keeps_its_lines() -> None:
    assert wish(" утром\r\nили вечером ") == "утром\nили вечером"


@pytest.mark.parametrize("typed", ["х" * 301, "\x00", "\x1b[2J", "\u202e", "\ufffd"])
def test_a_wish_has_no_odd_characters(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wish(typed)
