"""When are two names the same person's? Pure."""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What a person is called. An empty part is unknown, not absent."""

    last: str = ""
    first: str = ""
    patronymic: str = ""


def folded(part: str) -> str:
    """Return one part of a name as it is compared: case, «ё», dashes and blanks do not matter.

    >>> folded(" СЕМЁНОВА–Белова ")
    'семенова-белова'
    """
    plain = unicodedata.normalize("NFC", part).casefold().replace("ё", "е")
    return " ".join("".join("-" if letter in _DASHES else letter for letter in plain).split())


_DASHES = frozenset("\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}")


def agree(one: Name, other: Name) -> bool:
    """Return whether both may be the same person: equal first names, and nothing contradicts.

    >>> agree(Name(first="Пётр", last="Ким"), Name(first="петр"))
    True
    >>> agree(Name(first="Пётр", last="Ким"), Name(first="Пётр", last="Цой"))
    False
    """
    if folded(one.first) != folded(other.first):
        return False
    pairs = ((one.last, other.last), (one.patronymic, other.patronymic))
    return all(folded(a) == folded(b) for a, b in pairs if a.strip() and b.strip())
