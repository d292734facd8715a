"""The pictures that a letter may hold: a small set drawn by us, shipped with the product.

A clinic's own pictures need a library with upload and re-encoding; until there is one, these
have no owner to ask and nothing personal in them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crm.errors import later

FOLDER: Final = Path(__file__).parent / "drawings"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: 1200 x 400, PNG, under its hash."""

    key: str
    """The first hexadecimal digits of the file's SHA-256: what is sent never changes under it."""
    name: str
    """An English msgid."""
    alt: str
    """What a letter says to those who do not see it; in Russian, as letters are."""

    @property
    def src(self) -> str:
        """Return the address as a letter's document holds it."""
        return f"/media/{self.key}.png"


PICTURES: Final = (
    Picture("05c92e9987a5792c", later("Leaves"), "Ветка с зелёными листьями"),
    Picture("fefbca70ca60c016", later("Sunrise"), "Рассвет над холмами"),
    Picture("8a2ce9b7e5f300d4", later("Waves"), "Спокойные волны"),
    Picture("24bbec5bdcd73d41", later("Calendar"), "Страница календаря с отметкой"),
)
_BY_SRC: Final = {picture.src: picture for picture in PICTURES}


def known(src: str) -> bool:
    """Return whether ``src`` is one of ours."""
    return src in _BY_SRC


def content(key: str) -> bytes | None:
    """Return the file, None where there is no such picture."""
    if not known(f"/media/{key}.png"):
        return None
    return (FOLDER / f"{key}.png").read_bytes()
