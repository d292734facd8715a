"""One form of a mailing's letters: all that is constant encoded, and places for what is not."""

import html
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from crm.letters.compiled import checked
from crm.letters.lines import Body
from crm.letters.merge import Slot
from crm.mail import message

Written = list[tuple[int, bytes]]
"""Places among the parts of a letter, and what stands there."""

_BOUNDARY: Final = b"=_letter"
"""Cannot occur in a body: quoted-printable never writes ``=_``, no 8-bit line begins ``--=_``."""
REMEMBERED: Final = 8192
"""Values of which a press knows the bytes. Names repeat: most letters find theirs."""


class Blank(Protocol):
    """A place for a slot's value."""

    @property
    def slot(self) -> Slot: ...

    def written(self, value: str) -> bytes | None:
        """Return a checked value as it stands here, None if it may not stand here."""
        ...


class Sheet:
    """A letter without its recipient. Filling it costs a list copy and a look-up for each slot."""

    def __init__(self, headers: Sequence[bytes | Blank], text: Body, markup: Body) -> None:
        """Take ``headers`` as the first parts: they keep their places."""
        self._parts: list[bytes] = []
        self._fields: dict[Slot, _Field] = {}
        eight_bit = b"8bit" in (text.encoding, markup.encoding)
        self._add([*headers, message.body_opening(_BOUNDARY, eight_bit=eight_bit)])
        self._add_body(b"plain", text)
        self._add_body(b"html", markup)
        self._add([b"--" + _BOUNDARY + b"--\r\n"])

    def _add_body(self, subtype: bytes, body: Body) -> None:
        opening = message.part_opening(_BOUNDARY, subtype=subtype, encoding=body.encoding)
        self._add([opening, *body.parts, b"\r\n"], in_html=subtype == b"html")

    def _add(self, parts: Sequence[bytes | Blank], *, in_html: bool = False) -> None:
        for part in parts:
            if isinstance(part, bytes):
                self._parts.append(part)
            else:
                field = self._fields.setdefault(part.slot, _Field(part.slot))
                blanks = field.escaped if in_html else field.plain
                blanks.append((len(self._parts), part))
                self._parts.append(b"")

    def filled(self, values: Mapping[str, str]) -> list[bytes] | None:
        """Return the parts of one letter, None where a value does not fit into this form.

        Raises:
            HeaderFault: a value may not stand in a letter.
            KeyError: a value is missing.

        """
        parts = self._parts.copy()
        for slot, field in self._fields.items():
            value = values[slot.name] or slot.fallback
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
        self.plain: list[tuple[int, Blank]] = []
        self.escaped: list[tuple[int, Blank]] = []
        self.known: dict[str, Written] = {}

    def written(self, value: str) -> Written | None:
        checked(self.name, value)
        written: Written = []
        for blanks, said in (self.plain, value), (self.escaped, html.escape(value)):
            for place, blank in blanks:
                octets = blank.written(said)
                if octets is None:
                    return None
                written.append((place, octets))
        if self.remembers:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[value] = written
        return written
