"""The public half of a DKIM key, as DNS holds it.

Source: RFC 6376 section 3.6.1, RFC 8301 (lengths), RFC 8463 (Ed25519).
"""

import base64
import binascii
from collections.abc import Sequence

from crm.mail.records import Finding, Mark, Unreadable, tags


def public_key(text: str) -> bytes:
    """Return the key of a record: DER for rsa, 32 octets for ed25519; empty where it was revoked.

    Raises: Unreadable.
    """
    found = tags(text)
    if found.get("v", "DKIM1") != "DKIM1" or "p" not in found:
        raise Unreadable("the record holds no DKIM key")
    try:
        return base64.b64decode("".join(found["p"].split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("p= of the record is not base64") from None


def finding(ours: str, published: Sequence[str]) -> Finding:
    """Return what a verifier makes of ``published``, for letters signed by the key of ``ours``.

    ``ours`` is the record as it should stand in DNS.
    """
    if not published:
        return Finding(Mark.FAULT, "the key is not in DNS", f"publish as TXT: {ours}")
    if len(published) > 1:
        told = f"{len(published)} records under one selector"
        return Finding(Mark.FAULT, told, "leave the one that `crm dkim` prints")
    try:
        found = public_key(published[0])
    except Unreadable as fault:
        return Finding(Mark.FAULT, str(fault), f"publish as TXT: {ours}")
    if not found:
        told = "the record revokes the key that letters are signed with"
        return Finding(Mark.FAULT, told, f"publish as TXT: {ours}")
    if found != public_key(ours):
        return Finding(Mark.FAULT, "DNS holds another key than ours", f"publish as TXT: {ours}")
    if "y" in tags(published[0]).get("t", "").split(":"):
        told = "the key matches, and t=y tells providers to ignore it"
        return Finding(Mark.HINT, told, "remove t=y when all is well")
    return Finding(Mark.OK, "the key matches ours")
