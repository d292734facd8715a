"""What the server adds to a letter and staff cannot change: who writes, why, and the way out."""

from dataclasses import dataclass
from typing import Final, Literal

from crm.letters.merge import mark

Language = Literal["ru", "en"]

MEDICAL_WARNING: Final[dict[Language, str]] = {
    "ru": "ИМЕЮТСЯ ПРОТИВОПОКАЗАНИЯ. НЕОБХОДИМА КОНСУЛЬТАЦИЯ СПЕЦИАЛИСТА",
    "en": (
        "ИМЕЮТСЯ ПРОТИВОПОКАЗАНИЯ. НЕОБХОДИМА КОНСУЛЬТАЦИЯ СПЕЦИАЛИСТА. "
        "THERE ARE CONTRAINDICATIONS. CONSULT A SPECIALIST"
    ),
}
"""Source: 38-FZ 24(7). The law wants it in Russian, whatever the language of the letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """Whose letter it is: the clinic as its letters show it."""

    name: str
    """The short name above the letter, such as «Клиника „Север“»."""
    operator: str
    """The legal person that answers for personal data, such as ООО «Север»."""
    address: str
    """Its postal address in one line."""
    public_url: str
    """Absolute, without a slash at the end; pictures are fetched from below it."""
    language: Language = "ru"


def why(brand: Brand) -> str:
    """Return the sentence with the date of consent, a mark in it."""
    day = mark("consent_on")
    if brand.language == "en":
        return f"You get this letter because on {day} consent to advertising letters was given."
    return f"Вы получили это письмо, потому что {day} дано согласие на рекламные письма."


def way_out(brand: Brand) -> str:
    """Return the words of the unsubscribe link."""
    if brand.language == "en":
        return "Unsubscribe from advertising letters"
    return "Отписаться от рекламных писем"
