import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.mail import verp

KEYS = ("new-key-of-at-least-32-characters!", "old-key-of-at-least-32-characters!")
NUMBERS = st.integers(min_value=0, max_value=2**40 - 1)
ADDRESS = verp.make(42, domain="bounce.clinic.example", keys=KEYS)


@given(NUMBERS)
def test_a_return_path_names_its_letter(number: int) -> None:
    address = verp.make(number, domain="bounce.clinic.example", keys=KEYS)
    assert re.fullmatch(r"b\+[a-z2-7]{16}@bounce\.clinic\.example", address)
    assert verp.read(address, keys=KEYS) == number


@given(NUMBERS)
def test_case_may_change_on_the_way(number: int) -> None:
    address = verp.make(number, domain="bounce.clinic.example", keys=KEYS)
    assert verp.read(address.upper(), keys=KEYS) == number
    assert verp.read(address.title(), keys=KEYS) == number


def test_a_return_path_lives_through_a_change_of_keys() -> None:
    old = verp.make(42, domain="bounce.clinic.example", keys=KEYS[1:])
    assert old != ADDRESS
    assert verp.read(old, keys=KEYS) == 42
    assert verp.read(ADDRESS, keys=KEYS[1:]) is None


def test_the_domain_is_not_looked_at_because_forwarders_write_their_own() -> None:
    assert verp.read(ADDRESS.replace("bounce.clinic", "mx.relay"), keys=KEYS) == 42


@given(NUMBERS, st.integers(min_value=2, max_value=17), st.sampled_from("abcdefghijklmnop234567"))
def test_a_return_path_with_one_character_changed_names_no_letter(
    number: int, at: int, character: str
) -> None:
    address = verp.make(number, domain="clinic.example", keys=KEYS)
    forged = address[:at] + character + address[at + 1 :]
    assert verp.read(forged, keys=KEYS) == (number if forged == address else None)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "b+@clinic.example",
        "news@clinic.example",
        ADDRESS.removeprefix("b+"),
        ADDRESS.replace("@", "a@"),
        ADDRESS[:10] + ADDRESS[11:],
        ADDRESS[:10],
        ADDRESS.replace("b+", "c+"),
        "b+" + "1" * 16 + "@clinic.example",
        "b+" + "я" * 16 + "@clinic.example",
        "b+" + "=" * 16 + "@clinic.example",
        "b+" + "a" * 16 + "@clinic.example",
    ],
)
def test_what_we_did_not_make_names_no_letter(address: str) -> None:
    assert verp.read(address, keys=KEYS) is None


def test_a_number_that_does_not_fit_is_not_cut() -> None:
    with pytest.raises(OverflowError):
        verp.make(2**40, domain="clinic.example", keys=KEYS)
