"""One form of a mailing's letters: all that is constant encoded, and places for what is not."""

import html
from collections.abc import Mapping
from typing import Final

from crm.letters.compiled import checked
from crm.letters.lines import Body, Hole
from crm.letters.merge import Slot
from crm.mail import message

Written = list[tuple[int, bytes]]
"""Places among the parts of a letter, and what stands there."""

_BOUNDARY: Final = b"=_letter"
"""Cannot occur in a body: quoted-printable never writes ``=_``, no 8-bit line begins ``--=_``."""
REMEMBERED: Final = 8192
"""Values of which a press knows the bytes. Names repeat: most letters find theirs."""


class Sheet:
    """A letter without its recipient. Filling it costs a list copy and a look-up for each slot."""

    def __init__(self, headers: list[bytes], text: Body, markup: Body) -> None:
        """Take ``headers`` as the first parts: they keep their places."""
        eight_bit = b"8bit" in (text.encoding, markup.encoding)
        self._parts = [*headers, message.body_opening(_BOUNDARY, eight_bit=eight_bit)]
        self._fields: dict[Slot, _Field] = {}
        self._add(b"plain", text)
        self._add(b"html", markup)
        self._parts.append(b"--" + _BOUNDARY + b"--\r\n")

    def _add(self, subtype: bytes, body: Body) -> None:
        opening = message.part_opening(_BOUNDARY, subtype=subtype, encoding=body.encoding)
        self._parts.append(opening)
        for part in body.parts:
            if isinstance(part, Hole):
                field = self._fields.setdefault(part.slot, _Field(part.slot))
                places = field.in_html if subtype == b"html" else field.in_text
                places.append((len(self._parts), part))
                self._parts.append(b"")
            else:
                self._parts.append(part)
        self._parts.append(b"\r\n")

    def filled(self, values: Mapping[str, str]) -> list[bytes] | None:
        """Return the parts of one letter, None where a value does not fit into this form.

        Raises:
            HeaderFault: a value is missing or may not stand in a letter.

        """
        parts = self._parts.copy()
        for slot, field in self._fields.items():
            value = value_of(values, slot)
            written = field.known.get(value) or field.written(value)
            if written is None:
                return None
            for place, octets in written:
                parts[place] = octets
        return parts


class _Field:
    """One slot: the places where its value stands, and what the values seen so far become."""

    def __init__(self, slot: Slot) -> None:
        self.name = slot.name
        self.remembers = not slot.name.endswith("_url")
        self.in_text: list[tuple[int, Hole]] = []
        self.in_html: list[tuple[int, Hole]] = []
        self.known: dict[str, Written] = {}

    def written(self, value: str) -> Written | None:
        checked(self.name, value)
        places = [(place, hole.written(value)) for place, hole in self.in_text]
        markup = html.escape(value, quote=True)
        places += [(place, hole.written(markup)) for place, hole in self.in_html]
        fitting = [(place, octets) for place, octets in places if octets is not None]
        if len(fitting) < len(places):
            return None
        if self.remembers:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[value] = fitting
        return fitting


def value_of(values: Mapping[str, str], slot: Slot) -> str:
    """Return what a recipient has for a slot, or the slot's fallback.

    Raises:
        HeaderFault: the value is missing.

    """
    try:
        return values[slot.name] or slot.fallback
    except KeyError:
        raise message.HeaderFault(slot.name) from None
