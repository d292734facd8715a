"""Unsubscribe tokens are minted by hand, and must stay what itsdangerous makes and reads."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.consent.rules import Channel, Purpose
from crm.consent.tokens import (
    Right,
    Unsubscribe,
    mint,
    mint_unsubscribe,
    read_unsubscribe,
    signer,
)
from crm.errors import InvalidToken

KEYS = st.lists(
    st.text(string.ascii_letters + string.digits + "-_=+/", min_size=32, max_size=64),
    min_size=1,
    max_size=3,
).map(tuple)
IDS = st.integers(min_value=1, max_value=2**63 - 1)
LINKS = st.builds(
    Unsubscribe, IDS, st.sampled_from(Purpose), st.sampled_from(Channel), st.none() | IDS
)


@given(LINKS, KEYS)
def test_a_token_is_what_itsdangerous_makes_of_it(link: Unsubscribe, keys: tuple[str, ...]) -> None:
    by = signer(Right.UNSUBSCRIBE, keys)
    theirs = mint(by, link.address_id, link.purpose[0], link.channel[0], link.delivery_id)
    compressed = theirs.startswith(".")
    assert compressed or mint_unsubscribe(by, link) == theirs


@given(LINKS, KEYS)
def test_a_token_reads_back(link: Unsubscribe, keys: tuple[str, ...]) -> None:
    token = mint_unsubscribe(signer(Right.UNSUBSCRIBE, keys), link)
    assert set(token) <= {*string.ascii_letters, *string.digits, *"-_."}
    assert read_unsubscribe(token, keys=keys) == link
    assert read_unsubscribe(token, keys=("a-newer-key", *keys)) == link


@given(LINKS, KEYS)
def test_a_token_of_another_key_is_refused(link: Unsubscribe, keys: tuple[str, ...]) -> None:
    token = mint_unsubscribe(signer(Right.UNSUBSCRIBE, keys), link)
    with pytest.raises(InvalidToken):
        read_unsubscribe(token, keys=("x" * 70,))
