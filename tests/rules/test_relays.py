"""Which relay may be given letters, and which one a sender speaks to."""

from dataclasses import dataclass

import pytest

from crm.mail.smtp import Relay
from crm.relays.choice import Choice
from crm.relays.rules import (
    NOT_OURS,
    NOT_WITH_ONESELF,
    Bond,
    Refusal,
    contradiction,
    name_of,
    refusal,
)

FIRST, SECOND = Relay("one.example", 587), Relay("two.example", 587)


@dataclass(frozen=True)
class Said:
    country: str = "RU"
    bond: Bond = Bond.PROCESSOR


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, Refusal.UNDECLARED),
        (Said(), None),
        (Said(bond=Bond.OWN), None),
        (Said(bond=Bond.NONE), Refusal.NOT_A_PROCESSOR),
        (Said(country="DE"), Refusal.ABROAD),
        (Said(country="DE", bond=Bond.OWN), Refusal.ABROAD),
        (Said(country="DE", bond=Bond.NONE), Refusal.ABROAD),
    ],
)
def test_only_a_declared_relay_in_russia_of_ours_or_of_a_processor_may_send(
    declared: Said | None, expected: Refusal | None
) -> None:
    assert refusal(FIRST, declared) is expected
    assert refusal(Relay("192.168.1.5", 25), declared) is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost", "mail.localhost"])
def test_this_machines_own_relay_needs_no_declaration(host: str) -> None:
    assert refusal(Relay(host, 25), None) is None


@pytest.mark.parametrize(
    "host", ["localhost.example", "127.0.0.1.example", "localhosts", "10.0.0.1"]
)
def test_what_only_looks_like_this_machine_needs_one(host: str) -> None:
    assert refusal(Relay(host, 25), None) is Refusal.UNDECLARED


def test_a_relay_is_known_by_host_and_port_however_its_url_is_written() -> None:
    written = ("smtps://user:word@Relay.EXAMPLE", "smtp://relay.example:465/")
    assert {name_of(Relay.from_url(url)) for url in written} == {"relay.example:465"}


@pytest.mark.parametrize(
    ("owner", "bond", "clinic", "expected"),
    [
        ("ООО «Север»", Bond.OWN, "ООО «Север»", None),
        ("ооо «север»", Bond.OWN, "ООО «Север»", None),
        ("ООО «Почта»", Bond.OWN, "ООО «Север»", NOT_OURS),
        ("ООО «Север»", Bond.PROCESSOR, "ООО «Север»", NOT_WITH_ONESELF),
        ("ООО «Почта»", Bond.PROCESSOR, "ООО «Север»", None),
        ("ООО «Почта»", Bond.NONE, "ООО «Север»", None),
        ("ООО «Почта»", Bond.OWN, "", None),
    ],
)
def test_the_clinic_has_no_contract_with_itself(
    owner: str, bond: Bond, clinic: str, expected: str | None
) -> None:
    assert contradiction(owner=owner, bond=bond, clinic=clinic) == expected


def a_choice(now_s: Clock) -> Choice:
    return Choice(relays=[FIRST, SECOND], now_s=now_s, longest_rest_s=30)


def test_the_next_relay_takes_over_until_the_preferred_has_rested() -> None:
    clock = Clock()
    choice = a_choice(clock)
    assert choice.current() is FIRST
    assert choice.away(FIRST) == 5
    assert choice.current() is SECOND
    clock.now_s += 5
    assert choice.current() is FIRST


def test_rests_grow_up_to_the_longest_and_end_when_the_relay_is_back() -> None:
    clock = Clock()
    choice = a_choice(clock)
    assert [choice.away(FIRST) for _ in range(5)] == [5, 10, 20, 30, 30]
    choice.back(FIRST)
    assert choice.current() is FIRST
    assert choice.away(FIRST) == 5


def test_while_all_are_away_there_is_none_and_the_first_to_wake_is_known() -> None:
    clock = Clock()
    choice = a_choice(clock)
    assert choice.wait_s() == 0
    choice.away(FIRST)
    clock.now_s += 2
    choice.away(SECOND)
    assert choice.current() is None
    assert choice.wait_s() == 3
    clock.now_s += 3
    assert (choice.current(), choice.wait_s()) == (FIRST, 0)


def test_a_new_list_wakes_nobody_and_forgets_who_has_gone() -> None:
    choice = a_choice(Clock())
    choice.away(FIRST)
    choice.away(SECOND)
    choice.offer([FIRST])
    assert choice.current() is None
    choice.offer([FIRST, SECOND])
    assert choice.current() is SECOND


def test_without_any_relay_there_is_nothing_to_wait_for() -> None:
    choice = Choice(relays=[], now_s=Clock(), longest_rest_s=30)
    assert (choice.current(), choice.wait_s()) == (None, None)
