"""The headers of a letter, as raw bytes.

The standard library's ``EmailMessage`` is not used: it writes a long ``List-Unsubscribe`` as
encoded words (Gmail then shows no button) and costs a thousand times more per letter.
Source: RFC 5322, 2047, 2369, 2919, 8058, 3834; Gmail's and Yandex's rules for bulk senders.
"""

import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import lru_cache
from typing import Final, Self

from crm.mail.encode import encoded_words

_LINE: Final = 76
_BROKEN: Final = re.compile(r"[\r\n\0]|=\?")
_URL: Final = re.compile(
    r"(?:https://[A-Za-z0-9_.-]+|http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::[0-9]+)?"
    r"/[A-Za-z0-9_./~%?=&+-]*"
)
_ADDRESS: Final = re.compile(r"[!#-'*+/-9=?A-Z^-~.-]+@[A-Za-z0-9.-]+")
_LIST_ID: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_FEEDBACK_ID: Final = re.compile(r"[\w.-]*(?::[\w.-]*){0,2}:[\w.-]+", re.ASCII)
_PHRASE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")

PROMOTIONAL_HEADERS: Final = b"Precedence: bulk\r\nX-Auto-Response-Suppress: OOF, AutoReply\r\n"
"""What every promotional letter says besides its List headers."""

SERVICE_HEADERS: Final = (
    b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: OOF, AutoReply\r\n"
)
"""What every service letter says: a machine wrote it, so machines need not answer."""


class HeaderFault(ValueError):  # noqa: N818 - the fault is in the value
    """A value may not stand in a letter. The message names the place, never the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """From whom a mailing goes out and as which list; stored with the mailing at its launch.

    Frozen so that a change of the clinic's settings never splits a running mailing in two.
    Addresses are bare ASCII (``Email.value``). The list's three are needed by promotional letters
    only and ignored in service letters.
    """

    sender_name: str
    sender_address: str
    reply_to: str
    list_id: str | None = None
    """Dotted name without angle brackets, such as ``news.clinic.example``."""
    feedback_id: str | None = None
    """``campaign:kind:clinic:sender``, at most four fields, the last one constant for ever."""
    unsubscribe_mailbox: str | None = None
    """Bare address that takes «unsubscribe TOKEN» in the subject of a letter."""
    bounce_domain: str | None = None
    """Where letters come back to, each to an address of its own; None: to the sender's address."""

    def to_json(self) -> dict[str, str | None]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, str | None]) -> Self:
        return cls(**stored)  # type: ignore[arg-type]


def merged(value: str, *, header: str) -> str:
    """Return ``value`` if it may be merged into a header.

    Raises:
        HeaderFault: it holds CR, LF, NUL or the opening of an encoded word.

    """
    if _BROKEN.search(value):
        raise HeaderFault(header)
    return value


def subject_line(subject: str) -> bytes:
    """Return the Subject header with its line break."""
    merged(subject, header="Subject")
    plain = subject.isascii() and subject.isprintable() and len(subject) <= _LINE - 9
    value = subject.encode() if plain else encoded_words(subject, used=9)
    return b"Subject: " + value + b"\r\n"


def from_lines(envelope: Envelope) -> bytes:
    """Return From and Reply-To."""
    sender = address(envelope.sender_address, header="From")
    name = merged(envelope.sender_name, header="From")
    if not name:
        shown = b""
    elif _PHRASE.fullmatch(name) and len(name) + len(sender) < _LINE - 9:
        shown = name.encode() + b" "
    else:
        shown = encoded_words(name, used=6) + b"\r\n "
    reply_to = address(envelope.reply_to, header="Reply-To")
    return b"From: " + shown + b"<" + sender + b">\r\nReply-To: " + reply_to + b"\r\n"


def list_lines(envelope: Envelope) -> bytes:
    """Return the List headers that are the same in every letter of a promotional mailing.

    Raises:
        HeaderFault: the envelope lacks its list or is malformed.

    """
    lines = [b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"]
    if not envelope.list_id or not _LIST_ID.fullmatch(envelope.list_id):
        raise HeaderFault("List-Id")
    lines.append(b"List-Id: <" + envelope.list_id.encode() + b">\r\n")
    if envelope.feedback_id:
        if not _FEEDBACK_ID.fullmatch(envelope.feedback_id):
            raise HeaderFault("Feedback-ID")
        lines.append(b"Feedback-ID: " + envelope.feedback_id.encode() + b"\r\n")
    return b"".join(lines)


def list_unsubscribe_line(link: bytes, *, mailbox: bytes) -> bytes:
    """Return List-Unsubscribe, broken only between its two addresses and never encoded.

    Both have been checked, by ``url`` and ``address``: here nothing is.

    The mailto carries the token (the last part of the path) in its subject: local parts may be
    lower-cased on the way and end at 64 octets, subjects do not.
    """
    token = link[link.rindex(b"/") + 1 :]
    return (
        b"List-Unsubscribe: <%b>,\r\n <mailto:%b?subject=unsubscribe%%20%b>\r\n"
        % (link, mailbox, token)
    )  # fmt: skip


def url(value: str, *, header: str) -> bytes:
    """Return an absolute https URL (http for a loopback host) of our own making.

    Raises:
        HeaderFault: it is something else, or has a character that needs escaping somewhere.

    """
    if not _URL.fullmatch(value) or len(value) > 900:
        raise HeaderFault(header)
    return value.encode()


def address(value: str, *, header: str) -> bytes:
    """Return a bare ASCII address; the check is against injection, ``read_email`` is stricter."""
    if not _ADDRESS.fullmatch(value) or len(value) > 254:
        raise HeaderFault(header)
    return value.encode()


def message_id(value: str) -> bytes:
    """Return the value of Message-ID with its angle brackets, from ``left@right`` without them."""
    return b"<" + address(value, header="Message-ID") + b">"


def date_value(at: datetime) -> bytes:
    """Return the value of Date; ``at`` is aware, its fraction of a second is dropped."""
    offset = at.utcoffset()
    if offset is None:
        raise HeaderFault("Date")
    return _date_value(int(at.timestamp()), offset)


@lru_cache(maxsize=8)
def _date_value(second: int, offset: timedelta) -> bytes:
    return format_datetime(datetime.fromtimestamp(second, timezone(offset))).encode()


def body_opening(boundary: bytes, *, eight_bit: bool) -> bytes:
    """Return the MIME headers and the blank line; ``eight_bit`` if either part is."""
    return (
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: multipart/alternative; boundary="' + boundary + b'"\r\n'
        + (b"Content-Transfer-Encoding: 8bit\r\n" if eight_bit else b"")
        + b"\r\n"
    )  # fmt: skip


def part_opening(boundary: bytes, *, subtype: bytes, encoding: bytes) -> bytes:
    """Return the boundary and the headers of a part."""
    return (
        b"--" + boundary + b"\r\n"
        b"Content-Type: text/" + subtype + b"; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: " + encoding + b"\r\n"
        b"\r\n"
    )
