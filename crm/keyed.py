"""HMAC-SHA256 under the few keys of an installation, for what is made by the million."""

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _hashlib import HASH

_BLOCK: Final = 64
_INNER: Final = bytes(octet ^ 0x36 for octet in range(256))
_OUTER: Final = bytes(octet ^ 0x5C for octet in range(256))


def digest(key: bytes, text: bytes) -> bytes:
    """Return what ``hmac.digest(key, text, "sha256")`` returns, for short texts twice as fast.

    Preparing a key costs more than the digest, so it is kept prepared. Source: RFC 2104.
    """
    prepared_inner, prepared_outer = _prepared(key)
    inner, outer = prepared_inner.copy(), prepared_outer.copy()
    inner.update(text)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=64)
def _prepared(key: bytes) -> "tuple[HASH, HASH]":
    block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return sha256(block.translate(_INNER)), sha256(block.translate(_OUTER))
