"""Merge fields: the few words that differ from one recipient to the next.

What staff write is never a template of any engine. A whitelisted ``{{ field }}`` becomes a slot,
anything else that looks like a template is refused. No field knows about health, and none may be
added that does. While a letter is being compiled a slot is written as a mark, ``⟦name|fallback⟧``;
staff cannot write these two brackets.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from crm.errors import later


class Kind(StrEnum):
    """What a letter is for. It decides the footer, the headers and the fields."""

    PROMOTIONAL = "promotional"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Slot:
    """A hole in a compiled letter."""

    name: str
    fallback: str = ""
    """Written when the recipient's value is empty; if this is empty too, nothing is."""


class MergeFault(ValueError):  # noqa: N818 - the fault is in what was typed
    """A field cannot be taken; ``say`` is a sentence and ``position`` counts from 1."""

    def __init__(self, say: str, position: int) -> None:
        super().__init__(say)
        self.say = say
        self.position = position


_BOTH: Final = frozenset(Kind)
_SERVICE: Final = frozenset({Kind.SERVICE})

TEXT_FIELDS: Final[dict[str, frozenset[Kind]]] = {
    "first_name": _BOTH,
    "greeting": _BOTH,
    "when": _SERVICE,
    "place": _SERVICE,
}
LINK_FIELDS: Final[dict[str, frozenset[Kind]]] = {
    "page_url": _SERVICE,
}

_TOKEN: Final = re.compile(
    r"(?<!\{)\{\{\s*([A-Za-z_]\w*)\s*(?:\|([^{}|<>&\"'⟦⟧\r\n]{0,60}))?\}\}(?!\})"
)
_LEFTOVER: Final = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_MARK: Final = re.compile(r"⟦(\w+)\|([^⟦⟧]*)⟧")

_UNKNOWN = later("There is no such field. Possible: {{ greeting }}, {{ first_name | friend }}.")
_HALF_TYPED = later("A field is not complete. Write it as {{ first_name | friend }}.")
_NO_FALLBACK = later("Say what to write when the name is unknown: {{ first_name | friend }}.")
_LINK_IN_TEXT = later("This field is an address: choose it as the target of a button or a link.")


def mark(name: str, fallback: str = "") -> str:
    """Return the mark of a slot, to be written into a letter that is being compiled."""
    return f"⟦{name}|{fallback}⟧"


def mark_text(typed: str, kind: Kind) -> str:
    """Return ``typed`` with its fields as marks.

    Raises:
        MergeFault: an unknown, forbidden or half-typed field, or a name without a fallback.

    """
    marked = _TOKEN.sub(lambda token: _text_mark(token, kind), typed)
    leftover = _LEFTOVER.search(marked)
    if leftover:
        raise MergeFault(_HALF_TYPED, leftover.start() + 1)
    return marked


def _text_mark(token: re.Match[str], kind: Kind) -> str:
    name, fallback = token[1], (token[2] or "").strip()
    if name in LINK_FIELDS:
        raise MergeFault(_LINK_IN_TEXT, token.start() + 1)
    if kind not in TEXT_FIELDS.get(name, frozenset()):
        raise MergeFault(_UNKNOWN, token.start() + 1)
    if name == "first_name" and not fallback:
        raise MergeFault(_NO_FALLBACK, token.start() + 1)
    return mark(name, fallback)


def mark_link(typed: str, kind: Kind) -> str | None:
    """Return the mark of a link field if ``typed`` is exactly one, else None."""
    token = _TOKEN.fullmatch(typed.strip())
    if token is None or token[2] is not None or kind not in LINK_FIELDS.get(token[1], frozenset()):
        return None
    return mark(token[1])


def cut(marked: str) -> tuple[str | Slot, ...]:
    """Return ``marked`` as constant pieces and slots, none of the pieces empty."""
    pieces: list[str | Slot] = []
    end = 0
    for found in _MARK.finditer(marked):
        pieces += [marked[end : found.start()], Slot(found[1], found[2])]
        end = found.end()
    pieces.append(marked[end:])
    return tuple(piece for piece in pieces if piece != "")


def greeting(first_name: str, patronymic: str = "", *, language: str = "ru") -> str:
    """Return a greeting without a gender, such as «Здравствуйте, Анна Сергеевна!»."""
    hello = "Hello" if language == "en" else "Здравствуйте"
    name = " ".join(f"{first_name} {patronymic}".split())
    return f"{hello}, {name}!" if name else f"{hello}!"
