"""What texts there are, and what each may ask for: one purpose, one channel. Pure.

A consent is a document of its own for one purpose, so a text is known by what it asks for and
cannot ask for two things. Source: 152-FZ art. 9(1) as of 2025-09-01.
"""

import re
from dataclasses import dataclass
from typing import Final

from crm.consent.rules import Channel, Purpose
from crm.errors import later


@dataclass(frozen=True, slots=True)
class Kind:
    """What a text is for. A policy informs and has neither."""

    purpose: Purpose | None = None
    channel: Channel | None = None


KINDS: Final = {
    "policy": Kind(),
    "processing": Kind(Purpose.SERVICE, Channel.EMAIL),
    "marketing_email": Kind(Purpose.MARKETING, Channel.EMAIL),
    "marketing_sms": Kind(Purpose.MARKETING, Channel.SMS),
    "marketing_phone": Kind(Purpose.MARKETING, Channel.PHONE),
}
"""By the key that boxes of forms are named after."""
CONSENTS: Final = tuple(key for key, kind in KINDS.items() if kind.purpose is not None)
LANGUAGES: Final = ("ru", "en")

COMBINED: Final = later(
    "This asks for advertising too. Advertising is a consent of its own, with a box of its own: "
    "leave it out here."
)
_ADVERTISING: Final = re.compile(
    r"реклам|рассыл|маркетинг|новост|акци(?:й|ях|и)\b|advert|marketing|newsletter|promotion",
    re.IGNORECASE,
)


def combined(key: str, words: str) -> str | None:
    """Return why these words of a label or title make two consents out of one, if they do.

    >>> combined("processing", "Согласен на обработку данных") is None
    True
    >>> combined("processing", "Согласен на обработку данных и получение рекламы") == COMBINED
    True
    """
    asks_for_service = KINDS[key].purpose is Purpose.SERVICE
    return COMBINED if asks_for_service and _ADVERTISING.search(words) else None
