"""The compiled letter: constant pieces and slots, frozen with a mailing at its launch."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from crm.letters.merge import Kind, Slot
from crm.mail.message import HeaderFault, url

Pieces = tuple[str | Slot, ...]

OPTIONAL_FIELDS: Final = frozenset({"first_name", "greeting"})
"""Fields whose value may be empty. All others are promises that a letter may not go without."""

_VERSION: Final = 1
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledLetter:
    """What every recipient of a mailing gets, with holes for what differs.

    Sender, list and reply address are not in it but in the ``Envelope`` beside it.
    """

    kind: Kind
    subject: Pieces
    text: Pieces
    html: Pieces

    @property
    def fields(self) -> frozenset[str]:
        """The names of the values that ``Press.print`` needs for each recipient."""
        pieces = (*self.subject, *self.text, *self.html)
        return frozenset(piece.name for piece in pieces if isinstance(piece, Slot))

    def bind(self, values: Mapping[str, str]) -> Self:
        """Return the letter with these slots filled for good, as for a letter to one person.

        Raises:
            HeaderFault: a value may not stand in a letter.

        """
        for name, value in values.items():
            checked(name, value)
        return type(self)(
            kind=self.kind,
            subject=_bound(self.subject, values),
            text=_bound(self.text, values),
            html=_bound(
                self.html, {name: html.escape(value, quote=True) for name, value in values.items()}
            ),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "kind": self.kind.value,
            "subject": _to_json(self.subject),
            "text": _to_json(self.text),
            "html": _to_json(self.html),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        if stored.get("version") != _VERSION:
            raise ValueError("a compiled letter of an unknown version")
        return cls(
            kind=Kind(stored["kind"]),
            subject=_from_json(stored["subject"]),
            text=_from_json(stored["text"]),
            html=_from_json(stored["html"]),
        )


def checked(name: str, value: str) -> str:
    """Return ``value`` if it may stand in the slot ``name``, whose rules its name tells.

    Raises:
        HeaderFault: control characters, an address that is not ours to print, or nothing where
            something is promised.

    """
    if name.endswith("_url"):
        url(value, header=name)
    elif _UNFIT.search(value) or (not value and name not in OPTIONAL_FIELDS):
        raise HeaderFault(name)
    return value


def _bound(pieces: Pieces, values: Mapping[str, str]) -> Pieces:
    out: list[str | Slot] = []
    for piece in pieces:
        known = isinstance(piece, Slot) and piece.name in values
        new = (values[piece.name] or piece.fallback) if known else piece  # type: ignore[union-attr]
        if isinstance(new, str) and out and isinstance(out[-1], str):
            out[-1] += new
        else:
            out.append(new)
    return tuple(out)


def _to_json(pieces: Pieces) -> list[str | dict[str, str]]:
    return [
        piece if isinstance(piece, str) else {"slot": piece.name, "fallback": piece.fallback}
        for piece in pieces
    ]


def _from_json(stored: list[str | dict[str, str]]) -> Pieces:
    return tuple(
        piece if isinstance(piece, str) else Slot(piece["slot"], piece["fallback"])
        for piece in stored
    )
