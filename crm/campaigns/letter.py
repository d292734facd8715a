"""From a campaign's draft to its letter: whose it is, as which list, what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from crm.campaigns import pictures
from crm.campaigns.models import Campaign
from crm.clinic.models import Clinic
from crm.config import Settings
from crm.delivery.letterhead import brand
from crm.errors import later
from crm.letters.blocks import Button, Document, DocumentFault, Fault, Heading, Image, Text
from crm.letters.compile import compile_letter
from crm.letters.compiled import CompiledLetter, Pieces
from crm.letters.footer import Language
from crm.letters.lint import Severity, lint
from crm.letters.merge import Kind, greeting
from crm.letters.reading import read_document
from crm.letters.richtext import plain
from crm.mail.message import Envelope

LANGUAGE: Final[Language] = "ru"
"""Of the letters: recipients have given their consent in Russian."""
PRESETS: Final = {"heading": "Заголовок", "text": "Напишите текст", "button": "Записаться"}
"""What a new block says until it is written over; a letter does not leave with it."""
MERGE_FIELDS: Final = {"greeting": "{{ greeting }}", "first_name": "{{ first_name | Добрый день }}"}
"""What the menu of fields inserts."""

PRESET_LEFT = later("This block still says “%(found)s”. Write something or remove it.")
_UNKNOWN_PICTURE = later("This picture is not in the set. Choose another one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to look at before launch; ``gettext(say, **values)`` is the sentence."""

    path: str
    severity: Severity
    say: str
    values: Mapping[str, int | str] = field(default_factory=dict)
    law: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """An invented person, to see a letter as they would."""

    first_name: str
    patronymic: str


PEOPLE: Final = (
    Sample("Анна", "Сергеевна"),
    Sample("Константин", "Александрович"),
    Sample("", ""),
)
"""The usual case, a long name, and nobody knows the name."""


def envelope(campaign_id: int, clinic: Clinic) -> Envelope:
    """Return from whom and as which list the campaign goes. The details must be complete."""
    domain = clinic.news_email.rpartition("@")[2]
    return Envelope(
        sender_name=clinic.name,
        sender_address=clinic.news_email,
        reply_to=clinic.email,
        list_id=f"news.{domain}",
        feedback_id=f"campaign-{campaign_id}:news:{domain}",
        unsubscribe_mailbox=clinic.email,
        bounce_domain=clinic.bounce_domain or None,
    )


def compiled(campaign: Campaign, clinic: Clinic, settings: Settings) -> CompiledLetter:
    """Return the letter. Raises DocumentFault with all that keeps it from being one."""
    return compile_letter(
        campaign.document,
        campaign.subject,
        brand=brand(clinic, settings),
        kind=Kind.PROMOTIONAL,
    )


def pictures_unknown(document: Document) -> list[Fault]:
    """Return a fault for each picture that is not of our set."""
    return [
        Fault(f"blocks.{at}.src", _UNKNOWN_PICTURE)
        for at, block in enumerate(document.blocks)
        if isinstance(block, Image) and block.src and not pictures.known(block.src)
    ]


def notices(campaign: Campaign, clinic: Clinic, settings: Settings) -> list[Notice]:
    """Return all that is to be looked at before launch, errors first."""
    found: list[Notice] = []
    try:
        compiled(campaign, clinic, settings)
    except DocumentFault as fault:
        found += [_of_fault(one) for one in fault.faults]
    try:
        document = read_document(campaign.document, Kind.PROMOTIONAL)
    except DocumentFault:
        return found
    found += [_of_fault(one) for one in pictures_unknown(document)]
    found += _presets_left(document)
    found += [
        Notice(
            path=one.path,
            severity=one.severity,
            say=one.say,
            values={"found": one.found},
            law=one.law,
        )
        for one in lint(document, campaign.subject, Kind.PROMOTIONAL)
    ]
    return sorted(found, key=lambda one: one.severity is not Severity.ERROR)


def errors(found: list[Notice]) -> list[Notice]:
    """Return those that keep the letter from leaving."""
    return [one for one in found if one.severity is Severity.ERROR]


def sample_values(person: int, *, zone: ZoneInfo, at: datetime) -> dict[str, str]:
    """Return what an invented person's letter says; a number out of range means the first one."""
    one = PEOPLE[person if 0 <= person < len(PEOPLE) else 0]
    agreed = (at - timedelta(days=90)).astimezone(zone)
    return {
        "first_name": one.first_name,
        "greeting": greeting(one.first_name, one.patronymic, language=LANGUAGE),
        "consent_on": f"{agreed:%d.%m.%Y}",
    }


def printed(letter: CompiledLetter, values: dict[str, str], settings: Settings) -> dict[str, str]:
    """Return subject, text and html with everything filled in, to be looked at."""
    bound = letter.bind({**values, "unsubscribe_url": f"{settings.public_url}/u/sample"})
    return {
        "subject": _joined(bound.subject),
        "text": _joined(bound.text),
        # The frame may fetch from the page's own origin only, under whatever name it is reached.
        "html": _joined(bound.html).replace(f"{settings.public_url}/media/", "/media/"),
    }


def first_document() -> dict[str, Any]:
    """Return what a new campaign begins with: something to write over, and the warning."""
    blocks = [
        {"type": "heading", "text": PRESETS["heading"], "level": 1},
        {"type": "text", "html": f"<p>{{{{ greeting }}}}</p><p>{PRESETS['text']}</p>"},
        {"type": "medical_warning"},
    ]
    return {"version": 1, "preheader": "", "blocks": blocks}


def _presets_left(document: Document) -> list[Notice]:
    found = []
    for at, block in enumerate(document.blocks):
        match block:
            case Heading() if block.text == PRESETS["heading"]:
                place, words = "text", block.text
            case Text() if PRESETS["text"] in plain(block.html).splitlines():
                place, words = "html", PRESETS["text"]
            case Button() if block.href == "https://":
                place, words = "href", block.href
            case _:
                continue
        found.append(
            Notice(
                path=f"blocks.{at}.{place}",
                severity=Severity.ERROR,
                say=PRESET_LEFT,
                values={"found": words},
            )
        )
    return found


def _of_fault(fault: Fault) -> Notice:
    return Notice(path=fault.path, severity=Severity.ERROR, say=fault.say, values=fault.values)


def _joined(pieces: Pieces) -> str:
    return "".join(piece if isinstance(piece, str) else piece.fallback for piece in pieces)
