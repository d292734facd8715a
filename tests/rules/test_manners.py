"""What follows a refusal, and when a mailing is held; a day of warm-up; the quiet hours."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.delivery.door import REMEMBERED, Doors
from crm.delivery.manners import after, destination
from crm.delivery.quiet import quiet_until
from crm.delivery.vigil import (
    COMPLAINED,
    NOBODY_THERE,
    UNWANTED,
    Vigil,
    after_bounces,
    after_complaints,
    behind_smart_host,
    probe_until,
)
from crm.delivery.warming import Day, next_per_hour
from crm.mail.refusal import Refusal
from tests.factories import NOON

HARD, POLICY, RATE = Refusal.NO_SUCH_ADDRESS, Refusal.POLICY, Refusal.RATE_LIMITED
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def pauses(refusal: Refusal, code: int | None) -> list[timedelta]:
    found = []
    for tries in range(1, 10):
        retry_at = after(refusal, tries, code=code, at=NOON).retry_at
        if retry_at is None:
            break
        found.append(retry_at - NOON)
    return found


def test_a_stranger_comes_again_soon_and_others_after_longer_pauses() -> None:
    assert pauses(Refusal.GREYLISTED, 450) == [5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR]
    for refusal in (RATE, Refusal.UNAVAILABLE, Refusal.MAILBOX_FULL, Refusal.MAILBOX_BUSY, POLICY):
        assert pauses(refusal, 451) == [15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR]
    assert len(pauses(Refusal.UNAVAILABLE, None)) == 4


@pytest.mark.parametrize("refusal", [HARD, POLICY, Refusal.OUR_FAULT, Refusal.OTHER])
def test_what_is_refused_for_good_has_failed(refusal: Refusal) -> None:
    assert pauses(refusal, 550) == []


def test_too_many_messages_is_no_end_whatever_the_code() -> None:
    assert len(pauses(RATE, 550)) == 4


def test_only_an_address_that_does_not_exist_bounces() -> None:
    for refusal in Refusal:
        assert after(refusal, 1, code=550, at=NOON).bounced == (refusal is HARD)
        assert after(refusal, 1, code=550, at=NOON).alarms == (
            refusal in (POLICY, Refusal.OUR_FAULT)
        )


def test_a_limit_and_a_server_that_hangs_up_bring_a_rest_and_greylisting_none() -> None:
    assert after(RATE, 1, code=450, at=NOON).rests
    assert after(Refusal.UNAVAILABLE, 1, code=421, at=NOON).rests
    assert after(POLICY, 1, code=421, at=NOON).rests
    assert not after(Refusal.UNAVAILABLE, 1, code=451, at=NOON).rests
    assert not after(Refusal.GREYLISTED, 1, code=421, at=NOON).rests
    assert not after(POLICY, 1, code=550, at=NOON).rests


@pytest.mark.parametrize(
    ("refusal", "code", "rests"),
    [
        (Refusal.UNAVAILABLE, 451, True),
        (POLICY, 450, True),
        (Refusal.UNAVAILABLE, None, False),
        (POLICY, 550, False),
        (Refusal.GREYLISTED, 450, False),
        (Refusal.MAILBOX_FULL, 452, False),
        (Refusal.MAILBOX_BUSY, 450, False),
        (Refusal.OUR_FAULT, 451, False),
    ],
)
def test_what_may_be_said_to_everybody_brings_a_rest_if_it_is_repeated(
    refusal: Refusal, code: int | None, rests: bool
) -> None:
    follows = after(refusal, 1, code=code, at=NOON)
    assert (follows.rests, follows.rests_if_repeated) == (False, rests)


def test_what_brings_a_rest_at_once_is_not_waited_for() -> None:
    for refusal, code in ((RATE, 450), (Refusal.UNAVAILABLE, 421)):
        assert not after(refusal, 1, code=code, at=NOON).rests_if_repeated


def test_a_destination_is_shut_after_three_letters_with_none_accepted_between() -> None:
    doors = Doors()
    for delivery_id in (1, 1, 2):
        doors.turn_away("domain:a.example", delivery_id)
    doors.turn_away("domain:b.example", 3)
    assert not doors.is_shut("domain:a.example")
    doors.turn_away("domain:a.example", 3)
    assert doors.is_shut("domain:a.example")
    assert not doors.is_shut("domain:b.example")
    doors.forget("domain:a.example")
    assert not doors.is_shut("domain:a.example")


def test_no_sender_remembers_destinations_without_end() -> None:
    doors = Doors()
    for number in range(3 * REMEMBERED):
        doors.turn_away(f"domain:{number}.example", number)
    assert 0 < len(doors) <= REMEMBERED


def test_a_group_rests_as_a_whole_and_another_domain_alone() -> None:
    assert destination("mailru", "bk.ru") == destination("mailru", "list.ru")
    assert destination("other", "a.example") != destination("other", "b.example")


def watched(replies: list[Refusal | None], provider: str = "gmail") -> tuple[int, str | None]:
    vigil = Vigil()
    for number, refusal in enumerate(replies, 1):
        why = vigil.heed(provider, refusal)
        if why:
            return number, why
    return len(replies), None


def spread(bad: Refusal, *, every: int, letters: int) -> list[Refusal | None]:
    return [bad if number % every == 0 else None for number in range(1, letters + 1)]


def test_a_mailing_is_held_at_five_in_a_hundred_of_the_first_two_hundred() -> None:
    assert watched(spread(HARD, every=20, letters=200)) == (200, NOBODY_THERE)
    assert watched(spread(HARD, every=1, letters=200)) == (10, NOBODY_THERE)
    assert watched(spread(HARD, every=21, letters=200)) == (200, None)


def test_a_mailing_is_held_at_five_in_a_hundred_of_any_later_five_hundred() -> None:
    calm: list[Refusal | None] = [None] * 10_000
    assert watched(calm + spread(HARD, every=20, letters=500)) == (10_500, NOBODY_THERE)
    assert watched(calm + spread(HARD, every=21, letters=10_000)) == (20_000, None)
    assert watched(calm + [HARD] * 25) == (10_025, NOBODY_THERE)


def test_a_mailing_is_held_when_policy_repeats() -> None:
    assert watched([None] * 300 + [POLICY] * 3) == (303, UNWANTED)
    assert watched([None, POLICY, POLICY] * 1 + [None] * 500 + [POLICY, POLICY, None])[1] is None
    assert watched(spread(POLICY, every=20, letters=1000)) == (100, UNWANTED)
    assert watched(spread(POLICY, every=25, letters=1000)) == (1000, None)


def test_what_led_to_a_hold_is_forgotten_with_it() -> None:
    vigil = Vigil()
    for bad, enough in ((HARD, 10), (POLICY, 3)):
        for _ in range(2):
            *before, last = [vigil.heed("gmail", bad) for _ in range(enough)]
            assert last is not None
            assert not any(before)


def test_policy_is_counted_by_provider() -> None:
    vigil = Vigil()
    assert vigil.heed("gmail", POLICY) is vigil.heed("gmail", POLICY) is None
    assert vigil.heed("mailru", POLICY) is None
    assert vigil.heed("gmail", POLICY) == UNWANTED


def test_other_refusals_hold_nothing() -> None:
    for refusal in set(Refusal) - {HARD, POLICY}:
        assert watched([refusal] * 1000) == (1000, None)


@pytest.mark.parametrize(
    ("complaints", "accepted", "held"),
    [(3, 1500, True), (2, 100, False), (3, 1501, False), (4, 2000, True), (0, 0, False)],
)
def test_complaints_hold_a_mailing_at_two_in_a_thousand_and_three(
    complaints: int, accepted: int, held: bool
) -> None:
    assert after_complaints(complaints, accepted=accepted) == (COMPLAINED if held else None)


@pytest.mark.parametrize(
    ("choice", "host", "smart"),
    [
        (None, "smtp.relay.example", True),
        (None, "127.0.0.1", False),
        (True, "localhost", True),
        (False, "smtp.relay.example", False),
    ],
)
def test_a_relay_elsewhere_is_taken_for_a_smart_host(
    choice: bool | None, host: str, smart: bool
) -> None:
    assert behind_smart_host(choice, host) is smart


def test_behind_a_smart_host_bounce_letters_are_waited_for_once() -> None:
    assert probe_until(199, before=None, at=NOON) is None
    until = probe_until(200, before=None, at=NOON)
    assert until == NOON + 15 * MINUTE
    assert probe_until(5000, before=until, at=NOON + HOUR) == until
    assert after_bounces(9, handed_over=200) is None
    assert after_bounces(10, handed_over=200) == NOBODY_THERE
    assert after_bounces(0, handed_over=0) is None


@pytest.mark.parametrize(
    ("per_hour", "day", "following"),
    [
        (200, Day(accepted=500, deferred=0, complained=0), 400),
        (200, Day(accepted=981, deferred=19, complained=0), 400),
        (200, Day(accepted=98, deferred=2, complained=0), 200),
        (800, Day(accepted=980, deferred=20, complained=0), 400),
        (800, Day(accepted=3000, deferred=0, complained=1), 1600),
        (800, Day(accepted=2000, deferred=0, complained=1), 400),
        (2000, Day(accepted=5000, deferred=0, complained=0), 3600),
        (3600, Day(accepted=5000, deferred=500, complained=0), 1800),
        (100, Day(accepted=50, deferred=50, complained=0), 100),
        (800, Day(accepted=99, deferred=0, complained=0), 800),
        (800, Day(accepted=0, deferred=0, complained=0), 800),
    ],
)
def test_a_pace_doubles_while_all_is_well(per_hour: int, day: Day, following: int) -> None:
    assert next_per_hour(per_hour, target=3600, day=day) == following


def test_a_target_below_the_start_is_kept() -> None:
    bad = Day(accepted=0, deferred=500, complained=0)
    good = Day(accepted=500, deferred=0, complained=0)
    assert next_per_hour(50, target=50, day=bad) == next_per_hour(50, target=50, day=good) == 50


MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("local", "begin", "end", "until"),
    [
        ("2027-03-01 20:59", "21:00", "09:00", None),
        ("2027-03-01 21:00", "21:00", "09:00", "2027-03-02 09:00"),
        ("2027-03-02 08:59", "21:00", "09:00", "2027-03-02 09:00"),
        ("2027-03-02 09:00", "21:00", "09:00", None),
        ("2027-03-01 13:30", "13:00", "14:00", "2027-03-01 14:00"),
        ("2027-03-01 14:00", "13:00", "14:00", None),
        ("2027-03-01 12:00", "12:00", "12:00", None),
        ("2027-03-01 00:00", "00:00", "00:00", None),
    ],
)
def test_quiet_hours_end_in_the_morning(
    local: str, begin: str, end: str, until: str | None
) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=MOSCOW).astimezone(UTC)
    found = quiet_until(at, MOSCOW, begin=time.fromisoformat(begin), end=time.fromisoformat(end))
    wanted = datetime.fromisoformat(until).replace(tzinfo=MOSCOW) if until else None
    assert found == wanted


def test_clocks_that_change_in_the_night_change_its_length() -> None:
    night = {"begin": time(21), "end": time(9)}
    spring = datetime(2027, 3, 27, 20, tzinfo=UTC)
    autumn = datetime(2027, 10, 30, 19, tzinfo=UTC)
    assert quiet_until(spring, BERLIN, **night) == datetime(2027, 3, 28, 7, tzinfo=UTC)
    assert quiet_until(autumn, BERLIN, **night) == datetime(2027, 10, 31, 8, tzinfo=UTC)


@given(
    minutes=st.integers(0, 366 * 24 * 60),
    begin=st.times(),
    end=st.times(),
    zone=st.sampled_from([MOSCOW, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("UTC")]),
)
def test_quiet_hours_always_end_and_within_a_day(
    minutes: int, begin: time, end: time, zone: ZoneInfo
) -> None:
    at = NOON + minutes * MINUTE
    until = quiet_until(at, zone, begin=begin, end=end)
    if until is not None:
        assert at < until <= at + timedelta(hours=25)
        assert begin != end
