"""The law as a page of Python, against histories nobody thought of. No database."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from crm.consent.rules import (
    STOPS,
    Act,
    Bars,
    Purpose,
    Reason,
    Standing,
    fold,
    refusal,
)
from crm.consent.tokens import suppression_token, suppression_tokens

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
STOPPING = [act for act in Act if act not in (Act.ASKED, Act.CONFIRMED)]
Event = tuple[Act, datetime, datetime | None]


def moment(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


hours = st.integers(min_value=-48, max_value=48)
plain = st.tuples(
    st.sampled_from([act for act in Act if act is not Act.CONFIRMED]),
    hours.map(moment),
    st.none(),
)
terms = st.none() | st.integers(1, 96)
confirmed = st.tuples(hours, terms).map(
    lambda one: (
        Act.CONFIRMED,
        moment(one[0]),
        None if one[1] is None else moment(one[0] + one[1]),
    )
)
# Two confirmations at one instant with different terms do not happen: a row's lock parts them.
histories = st.lists(plain | confirmed, max_size=12, unique_by=lambda one: (one[0], one[1]))


def stands(history: list[Event]) -> Standing:
    return reduce(
        lambda standing, one: fold(standing, one[0], at=one[1], expires_at=one[2]),
        history,
        Standing(),
    )


@given(histories, st.randoms(use_true_random=False))
def test_the_order_in_which_events_are_read_does_not_matter(history: list[Event], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(history)
    random.shuffle(shuffled)
    assert stands(shuffled) == stands(history)


@given(histories)
def test_reading_an_event_twice_changes_nothing(history: list[Event]) -> None:
    assert stands(history + history) == stands(history)


@given(histories, hours)
def test_promotion_goes_only_after_a_confirmation_newer_than_every_stop(
    history: list[Event], now: int
) -> None:
    allowed = refusal(Purpose.MARKETING, stands(history), Bars(), at=moment(now)) is None
    confirmations = [one for one in history if one[0] is Act.CONFIRMED]
    last = max(confirmations, key=lambda one: one[1], default=None)
    lawful = (
        last is not None
        and not any(one[0] in STOPPING and one[1] >= last[1] for one in history)
        and (last[2] is None or last[2] > moment(now))
    )
    assert allowed is lawful


@given(histories, hours, st.sampled_from(STOPPING))
def test_a_stop_is_never_undone_by_a_ticked_box(history: list[Event], now: int, act: Act) -> None:
    stop: Event = (act, moment(100), None)
    ticked: Event = (Act.ASKED, moment(101), None)
    standing = stands([*history, stop, ticked])
    assert refusal(Purpose.MARKETING, standing, Bars(), at=moment(102)) is not None


@given(histories, hours)
def test_bars_bar_whatever_was_agreed(history: list[Event], now: int) -> None:
    standing, at = stands(history), moment(now)
    for purpose in Purpose:
        assert refusal(purpose, standing, Bars(destroyed=True), at=at) is Reason.DESTROYED
        assert refusal(purpose, standing, Bars(blocked=True), at=at) is Reason.BLOCKED
    assert refusal(Purpose.MARKETING, standing, Bars(suppressed=True), at=at) is not None


@given(histories, hours)
def test_a_refusal_of_promotion_never_stops_an_answer(history: list[Event], now: int) -> None:
    given = [one for one in history if one[0] is not Act.BOUNCED]
    assert refusal(Purpose.SERVICE, stands(given), Bars(), at=moment(now)) is None


def test_every_act_has_a_column_and_every_stop_a_reason() -> None:
    columns = set(Standing._fields)
    assert {f"{act.value}_at" for act in Act} <= columns
    assert {name for name, _reason in STOPS} == {f"{act.value}_at" for act in STOPPING}


def test_a_token_is_found_under_an_old_key_and_under_no_other() -> None:
    old, new, other = "o" * 40, "n" * 40, "x" * 40
    stored = suppression_token("email", "anna@mail.example", key=old)
    assert stored in suppression_tokens("email", "anna@mail.example", keys=(new, old))
    assert stored not in suppression_tokens("email", "anna@mail.example", keys=(new, other))
    assert stored not in suppression_tokens("phone", "anna@mail.example", keys=(old,))
    assert b"anna" not in stored
