"""The signed links in our letters, and the keyed tokens of the stop list.

A link carries one narrow right and no address. It is signed with the newest key and verified
with any, so links live through key rotation; an unsubscribe link never expires, because people
unsubscribe from letters two years old.
"""

import binascii
import hashlib
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer

from crm import keyed
from crm.consent.rules import Channel, Purpose
from crm.errors import InvalidToken

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class Right(StrEnum):
    """What a link may do. Each right has a salt of its own: one link cannot pass for another."""

    UNSUBSCRIBE = "unsubscribe.v1"
    CONFIRM = "confirm.v1"
    APPOINTMENT = "appointment.v1"


class Unsubscribe(NamedTuple):
    """Stop this purpose on this channel for this address. ``delivery_id`` names the letter."""

    address_id: int
    purpose: Purpose
    channel: Channel
    delivery_id: int | None


def signer(right: Right, keys: tuple[str, ...]) -> URLSafeSerializer:
    """Return what signs and reads links of one kind; keep it where many are minted."""
    # itsdangerous signs with the last key of the list and verifies with any of them.
    return URLSafeSerializer(
        list(reversed(keys)), salt=right.value, signer_kwargs={"digest_method": hashlib.sha256}
    )


def mint(by: URLSafeSerializer, *payload: Any) -> str:
    """Return the token that carries ``payload``: ids and short words, never an address."""
    return str(by.dumps(payload))


def mint_unsubscribe(by: URLSafeSerializer, token: Unsubscribe) -> str:
    """Return the unsubscribe token of one letter to one address.

    It is what ``mint`` would make of it, without compression and many times faster: a campaign
    mints a million of these.
    """
    delivery_id = "null" if token.delivery_id is None else token.delivery_id
    payload = f'[{token.address_id},"{token.purpose[0]}","{token.channel[0]}",{delivery_id}]'
    signed = _url_safe(payload.encode())
    return (signed + b"." + _url_safe(keyed.digest(_signing_key(by), signed))).decode()


@lru_cache(maxsize=16)
def _signing_key(by: URLSafeSerializer) -> bytes:
    return by.make_signer(by.salt).derive_key()


def _url_safe(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False).translate(_URL_SAFE, b"=")


def read(right: Right, token: str, *, keys: tuple[str, ...]) -> list[Any]:
    """Return what the token carries. Raises InvalidToken if no key of ours signed it."""
    try:
        payload = signer(right, keys).loads(token)
    except BadSignature as error:
        raise InvalidToken from error
    if not isinstance(payload, list):
        raise InvalidToken
    return payload


def read_unsubscribe(token: str, *, keys: tuple[str, ...]) -> Unsubscribe:
    """Return the right the token carries. Raises InvalidToken."""
    address_id, purpose, channel, delivery_id = read(Right.UNSUBSCRIBE, token, keys=keys)
    return Unsubscribe(address_id, _PURPOSES[purpose], _CHANNELS[channel], delivery_id)


def suppression_token(kind: str, value: str, *, key: str) -> bytes:
    """Return the keyed token of a normalised address: 32 bytes, useless without the key."""
    return keyed.digest(key.encode(), f"{kind}:{value}".encode())


def suppression_tokens(kind: str, value: str, *, keys: tuple[str, ...]) -> list[bytes]:
    """Return the token under every key, newest first: an entry may be older than today's key."""
    return [suppression_token(kind, value, key=key) for key in keys]


def key_id(key: str) -> str:
    """Return a short public name for a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


_PURPOSES = {purpose[0]: purpose for purpose in Purpose}
_CHANNELS = {channel[0]: channel for channel in Channel}
