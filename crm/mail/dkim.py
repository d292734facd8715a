"""DKIM signatures: a letter in, the header that vouches for it out.

Canonicalisation is relaxed/simple. Relaxed headers, because relays fold and respace them; a simple
body, because it is hashed as it stands and a relay that rewrites bodies breaks a relaxed one too.
Source: RFC 6376; RFC 8301 (rsa-sha256, 2048 bits); RFC 8463 (ed25519-sha256).
"""

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

Key = RSAPrivateKey | Ed25519PrivateKey

SIGNED: Final = (
    b"from",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-id",
    b"feedback-id",
)
"""Headers that are signed where a letter has them. RFC 8058 wants both List-Unsubscribe ones."""

OVERSIGNED: Final = (b"from", b"subject")
"""Signed once more than they occur, so that adding another one breaks the signature."""

_BETWEEN_FIELDS: Final = re.compile(rb"\r\n(?![ \t])")
_PADDING: Final = PKCS1v15()
_DIGEST: Final = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class Signer:
    """A key, and the name ``selector._domainkey.domain`` under which its public half is found."""

    domain: str
    selector: str
    key: Key = field(repr=False)

    @property
    def algorithm(self) -> str:
        return "rsa" if isinstance(self.key, RSAPrivateKey) else "ed25519"

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 digest."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(digest, _PADDING, _DIGEST)
        return self.key.sign(digest)


def signatures(wire: bytes, signers: Iterable[Signer], *, at: datetime) -> bytes:
    """Return a DKIM-Signature header for each signer, to be put before the letter.

    Args:
        wire: the letter dot-stuffed, as ``Press.print`` returns it. What is signed is the letter
            as it is received, without the stuffing.
        signers: usually one; RSA and Ed25519 together for the time of a change.
        at: when it was signed, aware.

    """
    end = wire.index(b"\r\n\r\n")
    names, fields = _canonical(wire[:end])
    body = _encoded(hashlib.sha256(_received(wire[end + 2 :])).digest())
    common = (names, body, int(at.timestamp()))
    return b"".join([_signature(signer, fields, *common) for signer in signers])


def _signature(signer: Signer, fields: bytes, names: bytes, body: bytes, at: int) -> bytes:
    header = (
        b"v=1; a=%b-sha256; c=relaxed/simple; d=%b; s=%b; t=%d;\r\n h=%b;\r\n bh=%b;\r\n b="
        % (
            signer.algorithm.encode(),
            signer.domain.encode(),
            signer.selector.encode(),
            at,
            names,
            body,
        )
    )
    signed = fields + b"dkim-signature:" + header.replace(b"\r\n", b"")
    value = _encoded(signer.sign(hashlib.sha256(signed).digest()))
    return b"DKIM-Signature: " + header + value + b"\r\n"


def _canonical(head: bytes) -> tuple[bytes, bytes]:
    """Return the names for ``h=``, and those headers in relaxed form (RFC 6376 3.4.2).

    Args:
        head: whole fields, the CRLF behind the last one left out.

    """
    found = dict(map(_relaxed, _BETWEEN_FIELDS.split(head)))
    names = [name for name in SIGNED if name in found]
    return b":".join([*names, *OVERSIGNED]), b"".join([found[name] for name in names])


@lru_cache(maxsize=256)
def _relaxed(header: bytes) -> tuple[bytes, bytes]:
    """Return a header's name, and the header in relaxed form. Most are the same in each letter."""
    name, _colon, value = header.partition(b":")
    name = name.rstrip().lower()
    return name, b"%b:%b\r\n" % (name, b" ".join(value.split()))


def _received(rest: bytes) -> bytes:
    """Return the body without dot-stuffing and in simple form (RFC 6376 3.4.3).

    Args:
        rest: the body with the CRLF that ends the blank line before it.

    """
    body = rest.replace(b"\r\n..", b"\r\n.")[2:]
    if body.endswith(b"\r\n\r\n"):
        body = body.rstrip(b"\r\n") + b"\r\n"
    return body or b"\r\n"


def _encoded(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False)
