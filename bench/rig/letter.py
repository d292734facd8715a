"""The letter of the benchmarks: 12 KB of Cyrillic HTML and text with the recipient's name in it."""

from functools import cache

from crm.config import Settings
from crm.letters.compile import compile_letter
from crm.letters.compiled import CompiledLetter, Pieces
from crm.letters.footer import Brand
from crm.letters.merge import Kind
from crm.mail.message import Envelope

PARAGRAPHS = 3
SUBJECT = "{{ first_name | Здравствуйте }}, приглашаем на осмотр"
SENTENCES = (
    "Профилактический осмотр помогает вовремя заметить изменения и сохранить здоровье. Наши врачи"
    " принимают ежедневно, запись открыта на ближайшие две недели."
)
ENVELOPE = Envelope(
    sender_name="Клиника «Север»",
    sender_address="news@clinic.example",
    reply_to="info@clinic.example",
    list_id="news.clinic.example",
    feedback_id="campaign-1:news:clinic.example",
    unsubscribe_mailbox="info@clinic.example",
)
SERVICE_ENVELOPE = Envelope(
    sender_name="Клиника «Север»",
    sender_address="priem@clinic.example",
    reply_to="info@clinic.example",
)


def promotion(settings: Settings) -> CompiledLetter:
    """Return the letter of a campaign."""
    return _compiled(settings.public_url, Kind.PROMOTIONAL)


def notice(settings: Settings) -> CompiledLetter:
    """Return a service letter."""
    return _compiled(settings.public_url, Kind.SERVICE)


@cache
def _compiled(public_url: str, kind: Kind) -> CompiledLetter:
    is_promotional = kind is Kind.PROMOTIONAL
    opening = "{{ greeting }} " if is_promotional else ""
    paragraph = {"type": "text", "html": f"<p>{SENTENCES}</p>"}
    blocks = [
        {"type": "heading", "text": "Осенний осмотр", "level": 1},
        {"type": "text", "html": f"<p>{opening}{SENTENCES}</p>"},
        *[paragraph] * PARAGRAPHS,
        {"type": "button", "text": "Записаться", "href": "https://clinic.example/offer"},
        *[{"type": "medical_warning"}] * is_promotional,
    ]
    brand = Brand(
        name="Клиника «Север»",
        operator="ООО «Север»",
        address="190000, Санкт-Петербург, Речная ул., 12",
        public_url=public_url,
    )
    return compile_letter(
        {"version": 1, "preheader": "Запись открыта", "blocks": blocks},
        SUBJECT if is_promotional else "Вы записаны на осмотр",
        brand=brand,
        kind=kind,
    )


def for_other_designs(letter: CompiledLetter) -> dict[str, str]:
    """Return subject, text and HTML as templates that Jinja and Django both understand."""
    parts = {"subject": letter.subject, "text": letter.text, "html": letter.html}
    return {name: _template(pieces) for name, pieces in parts.items()}


def _template(pieces: Pieces) -> str:
    return "".join(
        piece if isinstance(piece, str) else "{{ " + piece.name + " }}" for piece in pieces
    )
