"""What may be typed into a form, who may send it, and how fast. Pure.

Names are read by ``contacts.typed``, addresses and numbers by ``mail.addresses``.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from crm.contacts.rules import Name
from crm.errors import Invalid, later
from crm.mail.addresses import Email, Phone

FIELDS: Final = ("last_name", "first_name", "patronymic", "email", "phone", "message")
DEFENCE: Final = ("_hp", "_t")
BOX: Final = "consent."
PROCESSING: Final = "processing"
"""The text without which nothing is taken in."""

LONGEST_MESSAGE: Final = 2000
LONGEST_EMAIL: Final = 254
LONGEST_PHONE: Final = 40
LONGEST_KEY: Final = 255
"""Characters of an Idempotency-Key."""
MOST_FAULTS: Final = 20
"""More are not listed: whoever sends so many is no person."""

TOO_FAST: Final = timedelta(seconds=1)
"""Nobody reads and fills in a form faster."""
TOO_OLD: Final = timedelta(hours=24)

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A form that can be taken in."""

    name: Name
    email: Email | None
    phone: Phone | None
    message: str
    typed: dict[str, str]
    """The addresses as they were given, for the evidence."""
    ticked: dict[str, int]
    """Text id by text key."""


class MessageFault(Invalid):
    """The message cannot be taken; ``say`` tells what to correct."""


_TOO_LONG: Final = later("A message is 2,000 characters long at most.")
_NOT_READABLE: Final = later("There are characters here that cannot be read. Type it anew.")
_NOT_PLAIN: Final = later("Only plain text can be sent: please leave out tags such as <b>.")
_TAG: Final = re.compile(r"<\s*[/!?]?\s*[a-zA-Z]")
_ENCODED_WORD: Final = re.compile(r"=\?[\w-]+\?[bq]\?", re.IGNORECASE | re.ASCII)


def read_message(typed: str) -> str:
    """Return the message with plain line breaks, as text and nothing else.

    Raises:
        MessageFault: too long, control characters, markup or an encoded mail header.

    """
    text = typed.replace("\r\n", "\n").replace("\t", " ").strip()
    if len(text) > LONGEST_MESSAGE:
        raise MessageFault(say=_TOO_LONG)
    if unreadable(text):
        raise MessageFault(say=_NOT_READABLE)
    if _TAG.search(text) or _ENCODED_WORD.search(text):
        raise MessageFault(say=_NOT_PLAIN)
    return unicodedata.normalize("NFC", text)


def unreadable(text: str) -> bool:
    """Return whether there are control characters, halves of letters or signs of a wrong charset.

    Line breaks (LF) are none.
    """
    return any(
        sign == "\ufffd" or (sign != "\n" and unicodedata.category(sign) in {"Cc", "Cs", "Co"})
        for sign in text
    )


def smuggles(typed: str) -> bool:
    """Return whether a one-line value would mean more than itself in a header or on a page.

    >>> smuggles("a@mail.example"), smuggles("=?utf-8?q?x?=@mail.example"), smuggles("{{a}}@b.c")
    (False, True, True)
    """
    return "=?" in typed or any(sign in typed for sign in "<>{}\r\n\0")


class Haste(StrEnum):
    TOO_FAST = "too_fast"
    TOO_OLD = "too_old"


def haste(shown_at: datetime, *, at: datetime) -> Haste | None:
    """Return what is wrong with the time between showing and sending a form, if anything is.

    >>> from datetime import UTC
    >>> noon = datetime(2027, 3, 1, 12, tzinfo=UTC)
    >>> haste(noon, at=noon), haste(noon, at=noon + timedelta(seconds=5))
    (<Haste.TOO_FAST: 'too_fast'>, None)
    """
    passed = at - shown_at
    if passed < TOO_FAST:
        return Haste.TOO_FAST
    return Haste.TOO_OLD if passed > TOO_OLD else None


def may_post(origin: str, listed: Iterable[str], *, public_url: str) -> bool:
    """Return whether a page of this Origin may send the form: those listed, and our own page.

    ``null`` (sandboxed frames, files, redirects) is nobody's and is refused.

    >>> may_post("null", ["https://clinic.example"], public_url="https://crm.clinic.example")
    False
    """
    return origin in {one.rstrip("/") for one in listed} or origin in _own_origins(public_url)


def _own_origins(public_url: str) -> set[str]:
    parts = urlsplit(public_url)
    port = f":{parts.port}" if parts.port else ""
    if parts.scheme == "http":  # a loopback host, known under each of its names
        return {f"http://{host}{port}" for host in LOOPBACK}
    return {f"{parts.scheme}://{parts.hostname}{port}"}


def without_query(url: str) -> str:
    """Return the address of a page without query, fragment or credentials (COO-01).

    >>> without_query("https://u:p@clinic.example/form?utm=x&name=Anna#top")
    'https://clinic.example/form'
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"[:300]
