"""The press: what is constant is encoded once, a recipient costs a list copy and a join."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from crm.letters.compiled import CompiledLetter, checked
from crm.letters.lines import broken, in_eight_bit, in_quoted_printable
from crm.letters.merge import Kind, Slot
from crm.letters.sheet import REMEMBERED, Blank, Sheet
from crm.mail import message

_TO, _SUBJECT, _DATE, _MESSAGE_ID = 1, 3, 5, 7
"""Places of what always differs, among the parts of a letter."""


@dataclass(frozen=True, slots=True)
class _WayOut:
    """The line of a promotional letter that mail programs make a button of."""

    slot: ClassVar = Slot("unsubscribe_url")
    mailbox: bytes

    def written(self, value: str) -> bytes:
        return message.list_unsubscribe_line(value.encode(), mailbox=self.mailbox)


class Press:
    """Prints one mailing's letters. Made once per mailing in a sender; not for several threads."""

    def __init__(self, compiled: CompiledLetter, envelope: message.Envelope) -> None:
        """Encode the headers; a form of the body is encoded when a letter first needs it.

        Raises:
            HeaderFault: the envelope lacks what this kind of letter must say, or is malformed.

        """
        self._headers = _headers(envelope, promotional=compiled.kind is Kind.PROMOTIONAL)
        self._subject = compiled.subject
        self._varying = [piece for piece in compiled.subject if isinstance(piece, Slot)]
        self._subjects: dict[tuple[str, ...], bytes] = {}
        self._text, self._html = compiled.text, broken(compiled.html)
        self._date: tuple[datetime | None, bytes] = (None, b"")

    @cached_property
    def _quoted(self) -> Sheet:
        encode = in_quoted_printable
        return Sheet(self._headers, encode(self._text), encode(self._html))

    @cached_property
    def _eight_bit(self) -> Sheet:
        return Sheet(self._headers, in_eight_bit(self._text), in_eight_bit(self._html))

    def print(
        self,
        values: Mapping[str, str],
        *,
        to: str,
        message_id: str,
        date: datetime,
        eight_bit: bool = False,
    ) -> bytes:
        """Return the raw letter: CRLF lines, the last one ended, without the final lone dot.

        It is dot-stuffed: send it as it is and write ``.`` CRLF after it.

        Args:
            values: by field, all of ``CompiledLetter.fields``, and ``unsubscribe_url`` for a
                promotional letter. Plain text; an empty name takes the slot's fallback.
            to: the bare ASCII address, ``Email.value``.
            message_id: ``left@right`` without angle brackets; the same one when tried again.
            date: aware; the moment of sending. One and the same object for many letters is cheap.
            eight_bit: whether the relay offers 8BITMIME. A letter whose own lines or values
                cannot go in 8-bit comes in quoted-printable all the same.

        Raises:
            HeaderFault: a value is missing or may not stand in a letter. It names the field.

        """
        try:
            parts = self._eight_bit.filled(values) if eight_bit else None
            if parts is None:
                parts = self._quoted.filled(values) or []
            parts[_SUBJECT] = self._subject_line(values)
        except KeyError as lacking:
            raise message.HeaderFault(lacking.args[0]) from None
        parts[_TO] = message.address(to, header="To")
        parts[_DATE] = self._date_value(date)
        parts[_MESSAGE_ID] = message.message_id(message_id)
        return b"".join(parts)

    def _subject_line(self, values: Mapping[str, str]) -> bytes:
        said = tuple([values[slot.name] or slot.fallback for slot in self._varying])
        line = self._subjects.get(said)
        if line is None:
            if len(self._subjects) >= REMEMBERED:
                self._subjects.clear()
            words = iter(said)
            line = self._subjects[said] = message.subject_line(
                "".join(
                    piece if isinstance(piece, str) else checked(piece.name, next(words))
                    for piece in self._subject
                )
            )
        return line

    def _date_value(self, date: datetime) -> bytes:
        if date is not self._date[0]:
            self._date = (date, message.date_value(date))
        return self._date[1]


def _headers(envelope: message.Envelope, *, promotional: bool) -> list[bytes | Blank]:
    common = [
        message.from_lines(envelope) + b"To: ",
        b"",
        b"\r\n",
        b"",
        b"Date: ",
        b"",
        b"\r\nMessage-ID: ",
        b"",
        b"\r\n",
    ]
    if not promotional:
        return [*common, message.SERVICE_HEADERS]
    mailbox = message.address(envelope.unsubscribe_mailbox or "", header="List-Unsubscribe")
    listed = message.list_lines(envelope) + message.PROMOTIONAL_HEADERS
    return [*common, _WayOut(mailbox), listed]
