"""Bodies as SMTP carries them: quoted-printable for any relay, 8-bit, half the size, for most.

Source: RFC 5321 4.5.2 (dots), 4.5.3.1.6 (a line has at most 998 octets); RFC 2045 6.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from crm.letters.compiled import Pieces
from crm.letters.merge import Slot
from crm.mail.encode import eight_bit, quoted_printable

T = TypeVar("T")

_LONGEST: Final = 998
_FULL: Final = {1: 300, 2: 600}
"""Octets after which a line ends at a tag, and if none comes at a blank between words."""
_ALLOWANCE: Final = 200
"""Octets that a line keeps free for a slot in it."""
_PLACE: Final = re.compile(rb"<[a-z][a-z0-9]*( )[^>]*>|<[^>]*>|( )|\n")
"""A blank after the name of a tag, or between words: a break instead of it shows the same."""
_HARMFUL: Final = re.compile(rb"^(?:From |--=_)", re.MULTILINE)
"""What mailbox files change, and what a reader would take for the end of the part."""
_SOFT: Final = b"=\r\n"


@dataclass(frozen=True, slots=True)
class Hole:
    """A slot in a body."""

    slot: Slot
    room: int | None = None
    """Octets that 8-bit lines leave for its value; None in quoted-printable, which has no end."""
    leads: bool = False
    """Whether it begins a line, where only a letter or a digit surely means nothing to SMTP."""

    def written(self, value: str) -> bytes | None:
        """Return a value without line breaks as it stands here, None if it may not stand here."""
        if self.room is None:
            return _quoted(value)
        if self.leads and (not value[:1].isalnum() or value.startswith("From")):
            return None
        octets = value.encode()
        return octets if len(octets) <= self.room else None


@dataclass(frozen=True, slots=True)
class Body:
    """A part of a letter in one transfer encoding, which is named as the header names it."""

    encoding: bytes
    parts: list[bytes | Hole]


def broken(markup: Pieces) -> Pieces:
    """Return HTML with its long lines broken, only where that cannot be seen."""
    octets = bytearray(_joined(markup).encode())
    start = 0
    for found in _PLACE.finditer(bytes(octets)):
        at = found.start(found.lastindex or 0)
        width = at - start + _ALLOWANCE * octets.count(b"\0", start, at)
        if found.lastindex and width > _FULL[found.lastindex]:
            octets[at] = ord("\n")
        if octets[at] == ord("\n"):
            start = at + 1
    pieces: list[str | Slot] = _interleaved(octets.decode().split("\0"), _slots(markup))
    return tuple(piece for piece in pieces if piece != "")


def in_quoted_printable(pieces: Pieces) -> Body:
    """Return the body with each slot on lines of its own, between soft breaks."""
    parts: list[bytes | Hole] = []
    at_line_start = True
    for piece in pieces:
        if isinstance(piece, Slot):
            parts += [Hole(piece), _SOFT] if at_line_start else [_SOFT, Hole(piece), _SOFT]
            at_line_start = True
        else:
            parts.append(quoted_printable(piece))
            at_line_start = piece.endswith("\n")
    return Body(b"quoted-printable", parts)


def in_eight_bit(pieces: Pieces) -> Body:
    """Return the body in 8-bit, dot-stuffed; in quoted-printable where its own lines forbid it."""
    octets = eight_bit(_joined(pieces))
    lines = octets.split(b"\r\n")
    if max(map(len, lines)) > _LONGEST or _HARMFUL.search(octets):
        return in_quoted_printable(pieces)
    rooms = [room for line in lines for room in _rooms(line)]
    holes = [Hole(slot, *room) for slot, room in zip(_slots(pieces), rooms, strict=True)]
    return Body(b"8bit", _interleaved(octets.split(b"\0"), holes))


def _rooms(line: bytes) -> Iterator[tuple[int, bool]]:
    """Yield for each hole of a line how much it may take, and whether it leads."""
    count = line.count(b"\0")
    for nth in range(count):
        yield (_LONGEST - len(line) + count) // count, nth == 0 and line.startswith(b"\0")


def _joined(pieces: Pieces) -> str:
    """Return them as one text in which NUL, which no letter holds, stands for each slot."""
    return "".join("\0" if isinstance(piece, Slot) else piece for piece in pieces)


def _slots(pieces: Pieces) -> list[Slot]:
    return [piece for piece in pieces if isinstance(piece, Slot)]


def _interleaved(constants: Sequence[T], holes: Sequence[T]) -> list[T]:
    """Return them in turn; a constant comes first and last."""
    both = [constants[0]]
    for hole, constant in zip(holes, constants[1:], strict=True):
        both += [hole, constant]
    return both


_quoted = lru_cache(64)(quoted_printable)
"""A value that stands in both parts is encoded once."""
