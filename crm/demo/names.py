"""Invented people: names that agree in gender, and mailboxes made from them. Pure, seeded."""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Called:
    """What somebody is called."""

    last: str
    first: str
    patronymic: str
    woman: bool


_TAKEN: Final = Path(__file__).with_name("names.txt")


def _sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _TAKEN.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            words = found.setdefault(line.strip("[]"), [])
        elif found:
            words += line.split()
    return found


_LISTS: Final = _sections()
_LAST_NAMES: Final = [
    form for name, forms in _LISTS.items() if "families" in name for form in forms
]
_LATIN: Final = (
    ("Schneider", "Anna", True),
    ("O’Connor", "Liam", False),
    ("Müller", "Jonas", False),
    ("Virtanen", "Aino", True),
    ("Dubois", "Claire", True),
    ("Nowak", "Piotr", False),
    ("Saarinen", "Eero", False),
    ("García", "Lucía", True),
)

_ORIGINS: Final = ((0.885, ""), (0.055, "tatar "), (0.050, "southern "))
"""What share of people has names of which list; the rest have Latin ones."""
_WOMEN_SHARE: Final = 0.58
_DOUBLE_SHARE: Final = 0.025
_NO_FATHER_SHARE: Final = 0.12
"""Who leaves the patronymic out: a form does not insist."""


def invent(rng: Random) -> Called:
    """Return a person nobody is."""
    at = rng.random()
    for share, origin in _ORIGINS:
        if at < share:
            return _of(rng, origin)
        at -= share
    last, first, woman = rng.choice(_LATIN)
    return Called(last, first, "", woman)


def relative(rng: Random, of: Called) -> Called:
    """Return somebody of the same family: the same last name in the form of their gender."""
    woman = not of.woman if rng.random() < 0.7 else of.woman
    first = rng.choice([name for name in _LISTS["women" if woman else "men"] if name != of.first])
    return Called(
        _turned(of.last, woman=woman), first, _gendered(rng.choice(_LISTS["fathers"]), woman), woman
    )


def mailbox(rng: Random, of: Called) -> str:
    """Return the local part somebody with this name might have chosen."""
    last = latin(of.last).replace("-", rng.choice(("", "-", "."))).replace(" ", "")
    first = latin(of.first)
    number = rng.choice(("", "", str(rng.randint(1, 99)), str(rng.randint(1958, 2004))))
    shape = rng.choice(("{f}.{l}{n}", "{l}.{f}{n}", "{i}{l}{n}", "{l}{n}", "{f}_{l}", "{f}{n}{i}"))
    return shape.format(f=first, l=last, i=first[:1], n=number)


def latin(name: str) -> str:
    """Return the name in lower-case ASCII letters.

    >>> latin("Щукин"), latin("O’Connor")
    ('shchukin', 'oconnor')
    """
    spelled = "".join(_LETTERS.get(letter, letter) for letter in name.lower())
    return "".join(
        letter for letter in spelled if letter.isascii() and (letter.isalnum() or letter in "- ")
    )


def _of(rng: Random, origin: str) -> Called:
    woman = rng.random() < _WOMEN_SHARE
    first = rng.choice(_LISTS[f"{origin}{'women' if woman else 'men'}"])
    last = _gendered(rng.choice(_LISTS[f"{origin}families"]), woman)
    if not origin and rng.random() < _DOUBLE_SHARE:
        last = f"{last}-{_gendered(rng.choice(_LISTS['families']), woman)}"
    father = _gendered(rng.choice(_LISTS[f"{origin}fathers"]), woman)
    return Called(last, first, "" if rng.random() < _NO_FATHER_SHARE else father, woman)


def _gendered(form: str, woman: bool) -> str:
    his, slash, hers = form.replace("_", " ").partition("/")
    if not slash:
        hers = f"{his}а"
    return hers if woman else his


def _turned(last: str, *, woman: bool) -> str:
    return "-".join(_turned_part(part, woman=woman) for part in last.split("-"))


def _turned_part(last: str, *, woman: bool) -> str:
    for form in _LAST_NAMES:
        if last in (_gendered(form, True), _gendered(form, False)):
            return _gendered(form, woman)
    return last


_CYRILLIC: Final = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
_SPELLED: Final = "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch . y . e yu ya"
_LETTERS: Final = dict(zip(_CYRILLIC, _SPELLED.replace(".", "").split(" "), strict=True)) | {
    "ü": "u",
    "í": "i",
    "ó": "o",
    "’": "",
}
