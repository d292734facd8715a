from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from typing import Any

from crm.letters.compile import compile_letter
from crm.letters.compiled import CompiledLetter
from crm.letters.fill import Press
from crm.letters.footer import Brand
from crm.letters.merge import Kind
from crm.mail.message import Envelope

BRAND = Brand(
    name="Клиника «Север»",
    operator="ООО «Север»",
    address="101000, Москва, Примерная ул., 1",
    public_url="https://crm.clinic.example",
)
ENVELOPE = Envelope(
    sender_name="Клиника «Север»",
    sender_address="news@clinic.example",
    reply_to="desk@clinic.example",
    list_id="news.clinic.example",
    feedback_id="42:promotional:sever:vezhlivo",
    unsubscribe_mailbox="unsubscribe@clinic.example",
)
SUBJECT = "{{ first_name | Друзья }}, приглашаем на осмотр"
DOCUMENT: dict[str, Any] = {
    "version": 1,
    "preheader": "Запись открыта до конца ноября",
    "blocks": [
        {"type": "heading", "text": "{{ greeting }}", "level": 1},
        {
            "type": "text",
            "html": "<p>Осмотр занимает <strong>полчаса</strong>.</p><ul><li>Утром</li>"
            '<li>Вечером</li></ul><p><a href="https://clinic.example/a?b=1&amp;c=2">Часы</a></p>',
        },
        {"type": "image", "src": "/media/0123456789abcdef.png", "alt": "Окно в сад"},
        {"type": "button", "text": "Записаться", "href": "https://clinic.example/book"},
        {"type": "divider"},
        {"type": "medical_warning"},
    ],
}
TOKEN = "WzEsNDJd.dGhpcy1pcy1ub3QtYS1zaWduYXR1cmU"
VALUES = {
    "first_name": "Анна",
    "greeting": "Здравствуйте, Анна Сергеевна!",
    "consent_on": "12.03.2026",
    "unsubscribe_url": f"https://crm.clinic.example/u/{TOKEN}",
}
SENT_AT = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)


def letter_of(*blocks: dict[str, Any], subject: str = SUBJECT) -> CompiledLetter:
    """Return a promotional letter of these blocks and the medical warning."""
    document = {"version": 1, "preheader": "", "blocks": [*blocks, {"type": "medical_warning"}]}
    return compile_letter(document, subject, brand=BRAND, kind=Kind.PROMOTIONAL)


def printed(letter: CompiledLetter, **values: str) -> bytes:
    return _printed(letter, values, eight_bit=False)


def printed_in_8_bit(letter: CompiledLetter, **values: str) -> bytes:
    return _printed(letter, values, eight_bit=True)


def _printed(letter: CompiledLetter, values: dict[str, str], *, eight_bit: bool) -> bytes:
    return Press(letter, ENVELOPE).print(
        VALUES | values,
        to="anna@mail.example",
        message_id="0f8fad5b-d9cb@clinic.example",
        date=SENT_AT,
        eight_bit=eight_bit,
    )


def received(raw: bytes) -> bytes:
    """Return what the server makes of a letter on the wire. Source: RFC 5321 4.5.2."""
    lines = raw.removesuffix(b"\r\n").split(b"\r\n")
    assert b"." not in lines
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)


def subject_of(raw: bytes) -> str:
    return str(make_header(decode_header(message_from_bytes(raw)["Subject"])))


def part(raw: bytes, subtype: str) -> str:
    """Return a part as the standard library's legacy decoder reads it."""
    for found in message_from_bytes(raw).walk():
        if found.get_content_subtype() == subtype:
            return _decoded(found)
    raise LookupError(subtype)


def _decoded(found: Message) -> str:
    payload = found.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


DOTTED = letter_of(
    {"type": "heading", "text": "{{ greeting }}"},
    {
        "type": "text",
        "html": "<p>... и снова здравствуйте</p><p>.</p><p>{{ first_name | друг }}</p>",
    },
)
"""A letter with dots at the starts of lines."""
