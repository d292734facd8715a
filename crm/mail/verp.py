"""Return paths of their own: a bounce names the letter that it answers, and cannot be invented.

The address is ``b+TOKEN@domain``; its token is base32 of the delivery's number in five octets and
five octets of an HMAC. Servers on the way may change its case.
"""

import hmac
from base64 import b32decode, b32encode
from collections.abc import Iterable
from typing import Final

from crm import keyed

_PREFIX: Final = "b+"
_OCTETS: Final = 5
"""Of each half: 40 bits number a million letters a day for three thousand years."""


def make(delivery_id: int, *, domain: str, keys: tuple[str, ...]) -> str:
    """Return the envelope sender of a delivery's letter; ``keys`` are newest first.

    Raises:
        OverflowError: a number that does not fit.

    """
    number = delivery_id.to_bytes(_OCTETS)
    token = b32encode(number + _mark(number, keys[0])).decode().lower()
    return f"{_PREFIX}{token}@{domain}"


def read(address: str, *, keys: Iterable[str]) -> int | None:
    """Return the delivery that a return path names, None if none of our keys made it."""
    local = address.partition("@")[0].upper()
    token = local.removeprefix(_PREFIX.upper())
    if local == token or len(token) != 16 or not token.isascii():
        return None
    try:
        octets = b32decode(token)
    except ValueError:
        return None
    number, mark = octets[:_OCTETS], octets[_OCTETS:]
    if any(hmac.compare_digest(mark, _mark(number, key)) for key in keys):
        return int.from_bytes(number)
    return None


def _mark(number: bytes, key: str) -> bytes:
    return keyed.digest(key.encode(), b"verp:" + number)[:_OCTETS]
