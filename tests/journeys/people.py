"""Everybody whose data may appear in letters and on pages, and nowhere in a log."""

from dataclasses import dataclass
from itertools import count
from typing import Final

_number = count(1)
TOLD: Final[set[str]] = set()
"""What was typed, clicked or written about anybody invented here."""


@dataclass(frozen=True, kw_only=True)
class Someone:
    last_name: str
    first_name: str
    patronymic: str
    email: str
    phone: str
    message: str

    @property
    def full_name(self) -> str:
        return f"{self.last_name} {self.first_name} {self.patronymic}"


def someone() -> Someone:
    """Return a person whom nobody else in the world is called like."""
    number = next(_number)
    tail = "абвгдежзиклмн"[number % 13]
    person = Someone(
        last_name=f"Канареева{tail}",
        first_name=f"Желтопера{tail}",
        patronymic=f"Клеткиевна{tail}",
        email=f"kanarejka{number}@mail.example",
        phone=f"+7 916 730-11-{number:02}",
        message=f"Прошу утро у кардиолога, ширма{number}",
    )
    digits = "".join(sign for sign in person.phone if sign.isdigit())
    names = {person.last_name, person.first_name, person.patronymic}
    TOLD.update(names, {person.email, person.phone, digits, f"ширма{number}"})
    return person
