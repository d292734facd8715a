"""The press: what is constant is encoded once, a recipient costs a list copy and a join."""

import html
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

from crm.letters.compiled import CompiledLetter, Pieces, checked
from crm.letters.merge import Kind, Slot
from crm.mail import message
from crm.mail.encode import quoted_printable

_BOUNDARY: Final = b"=_letter"
"""Cannot occur in a body: quoted-printable never writes ``=_``."""
_SOFT: Final = b"=\r\n"
_REMEMBERED: Final = 8192

_TO, _SUBJECT, _DATE, _MESSAGE_ID, _UNSUBSCRIBE = 1, 3, 5, 7, 9
"""Places of what always differs, among the parts of a letter."""


class Press:
    """Prints one mailing's letters. Made once per mailing in a sender; not for several threads."""

    def __init__(self, compiled: CompiledLetter, envelope: message.Envelope) -> None:
        """Encode all that is constant.

        Raises:
            HeaderFault: the envelope lacks what this kind of letter must say, or is malformed.

        """
        promotional = compiled.kind is Kind.PROMOTIONAL
        mailbox = envelope.unsubscribe_mailbox or ""
        self._mailbox = message.address(mailbox, header="List-Unsubscribe") if promotional else None
        self._subject = compiled.subject
        self._date: tuple[datetime | None, bytes] = (None, b"")
        self._parts = _opening(envelope, promotional=promotional)
        self._text: dict[Slot, list[int]] = {}
        self._html: dict[Slot, list[int]] = {}
        self._add(compiled.text, self._text)
        self._parts.append(b"\r\n" + message.part_opening(_BOUNDARY, subtype=b"html"))
        self._add(compiled.html, self._html)
        self._parts.append(b"\r\n--" + _BOUNDARY + b"--\r\n")
        slots = {*self._text, *self._html}
        self._slots = [
            (slot, self._text.get(slot, []), self._html.get(slot, []))
            for slot in sorted(slots, key=lambda slot: (slot.name, slot.fallback))
        ]

    def _add(self, pieces: Pieces, places: dict[Slot, list[int]]) -> None:
        for part in _body(pieces):
            if isinstance(part, Slot):
                places.setdefault(part, []).append(len(self._parts))
                self._parts.append(b"")
            else:
                self._parts.append(part)

    def print(
        self, values: Mapping[str, str], *, to: str, message_id: str, date: datetime
    ) -> bytes:
        """Return the raw letter: CRLF lines, the last one ended, without the final lone dot.

        No line begins with a dot, so dot-stuffing has nothing to do: send it as it is and write
        ``.`` CRLF after it.

        Args:
            values: by field, all of ``CompiledLetter.fields``, and ``unsubscribe_url`` for a
                promotional letter. Plain text; an empty name takes the slot's fallback.
            to: the bare ASCII address, ``Email.value``.
            message_id: ``left@right`` without angle brackets; the same one when tried again.
            date: aware; the moment of sending.

        Raises:
            HeaderFault: a value is missing or may not stand in a letter. It names the field.

        """
        parts = self._parts.copy()
        parts[_TO] = message.address(to, header="To")
        parts[_SUBJECT] = self._subject_line(values)
        parts[_DATE] = self._date_value(date)
        parts[_MESSAGE_ID] = message.message_id(message_id)
        if self._mailbox is not None:
            link = _value(values, "unsubscribe_url")
            parts[_UNSUBSCRIBE] = message.list_unsubscribe_line(link, mailbox=self._mailbox)
        for slot, in_text, in_html in self._slots:
            value = _filled(values, slot)
            encode = _encoded_once if slot.name.endswith("_url") else _encoded
            text, markup = encode(slot.name, value)
            for place in in_text:
                parts[place] = text
            for place in in_html:
                parts[place] = markup
        return b"".join(parts)

    def _subject_line(self, values: Mapping[str, str]) -> bytes:
        words = [
            piece if isinstance(piece, str) else checked(piece.name, _filled(values, piece))
            for piece in self._subject
        ]
        return _subject_line("".join(words))

    def _date_value(self, date: datetime) -> bytes:
        second = date.replace(microsecond=0)
        if second != self._date[0] or second.tzinfo is None:
            self._date = (second, message.date_value(second))
        return self._date[1]


def _opening(envelope: message.Envelope, *, promotional: bool) -> list[bytes]:
    listed = message.list_lines(envelope) if promotional else b""
    constant = message.PROMOTIONAL_HEADERS if promotional else message.SERVICE_HEADERS
    return [
        message.from_lines(envelope) + b"To: ",
        b"",
        b"\r\n",
        b"",
        b"Date: ",
        b"",
        b"\r\nMessage-ID: ",
        b"",
        b"\r\n",
        b"",
        listed + constant + message.body_opening(_BOUNDARY),
    ]


def _body(pieces: Pieces) -> Iterator[bytes | Slot]:
    """Yield a body in quoted-printable, each slot on lines of its own between soft breaks."""
    at_line_start = True
    for piece in pieces:
        if isinstance(piece, Slot):
            if not at_line_start:
                yield _SOFT
            yield piece
            yield _SOFT
            at_line_start = True
        else:
            yield quoted_printable(piece)
            at_line_start = piece.endswith("\n")


def _value(values: Mapping[str, str], name: str) -> str:
    try:
        return values[name]
    except KeyError:
        raise message.HeaderFault(name) from None


def _filled(values: Mapping[str, str], slot: Slot) -> str:
    return _value(values, slot.name) or slot.fallback


def _encoded_once(name: str, value: str) -> tuple[bytes, bytes]:
    checked(name, value)
    markup = html.escape(value, quote=True)
    encoded = quoted_printable(value)
    return encoded, encoded if markup == value else quoted_printable(markup)


_encoded = lru_cache(_REMEMBERED)(_encoded_once)
_subject_line = lru_cache(_REMEMBERED)(message.subject_line)
