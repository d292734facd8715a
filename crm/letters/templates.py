"""The letters that the clinic must be able to write to anybody: neutral, and without promotion.

None names a doctor, a speciality or a service, and the subject tells no more than a date: the
letter may be read by whoever shares the mailbox. Source: 323-FZ 13.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from crm.letters.compiled import CompiledLetter
from crm.letters.footer import Language

_BANNER: Final = (
    "padding:12px 24px;background:#fff3cd;color:#4d3800;text-align:center;"
    "font:700 16px/1.5 Arial,sans-serif"
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A subject and a document for ``compile_letter``."""

    subject: str
    document: dict[str, Any]


def confirm_address(language: Language) -> Draft:
    """Return the double opt-in letter. Needs ``greeting`` and ``page_url`` (``/o/<token>``)."""
    if language == "en":
        return _draft(
            "Confirm your address",
            "This address was typed into a form of the clinic. If it was you, confirm the address.",
            "Confirm the address",
            "If it was not you, do nothing: no other letter will follow.",
        )
    return _draft(
        "Подтвердите адрес",
        "Этот адрес указали в форме на сайте клиники. Если это сделали вы, подтвердите адрес.",
        "Подтвердить адрес",
        "Если это были не вы, ничего не делайте: других писем не будет.",
    )


def appointment_proposed(language: Language) -> Draft:
    """Return the letter that asks whether a time suits.

    This and the next two need ``greeting``, ``when`` (such as «24 ноября, 10:30»), ``place`` and
    ``page_url`` (``/a/<token>``).
    """
    if language == "en":
        return _draft(
            "Appointment: {{ when }}",
            "We suggest this time: {{ when }}. Address: {{ place }}.",
            "Confirm or ask to move",
            "If the time does not suit you, ask for another one on the same page.",
        )
    return _draft(
        "Запись: {{ when }}",
        "Предлагаем время: {{ when }}. Адрес: {{ place }}.",
        "Подтвердить или перенести",
        "Если время не подходит, попросите другое на той же странице.",
    )


def appointment_confirmed(language: Language) -> Draft:
    """Return the letter that says when and where the visit is."""
    if language == "en":
        return _draft(
            "Appointment: {{ when }}",
            "We expect you: {{ when }}. Address: {{ place }}.",
            "Open the appointment",
            "On this page you can ask to move the visit or cancel it.",
        )
    return _draft(
        "Запись: {{ when }}",
        "Ждём вас: {{ when }}. Адрес: {{ place }}.",
        "Открыть запись",
        "На этой странице можно попросить перенести визит или отменить его.",
    )


def appointment_cancelled(language: Language) -> Draft:
    """Return the letter that says that the visit will not be. ``place`` is not needed."""
    if language == "en":
        return _draft(
            "Appointment cancelled: {{ when }}",
            "The visit is cancelled: {{ when }}.",
            "Open the appointment",
            "If this is a mistake, please call the clinic.",
        )
    return _draft(
        "Запись отменена: {{ when }}",
        "Визит отменён: {{ when }}.",
        "Открыть запись",
        "Если это ошибка, позвоните в клинику.",
    )


def as_test(letter: CompiledLetter, language: Language) -> CompiledLetter:
    """Return the letter with a banner that says that it went to staff only.

    Laid over the compiled letter, so that everything below is what recipients will get.
    """
    prefix, words = (
        ("[Test] ", "This is a test letter. It went to you only.")
        if language == "en"
        else ("[Проба] ", "Это пробное письмо. Оно отправлено только вам.")
    )
    banner = f'<div style="{_BANNER}">{words}</div>'
    first = letter.html[0]
    if not isinstance(first, str):
        raise TypeError("a compiled letter begins with its constant head")
    return replace(
        letter,
        subject=(prefix, *letter.subject),
        text=(f"{words}\n\n", *letter.text),
        html=(re.sub(r"<body[^>]*>", lambda body: body[0] + banner, first), *letter.html[1:]),
    )


def _draft(subject: str, words: str, button: str, note: str) -> Draft:
    blocks = [
        {"type": "heading", "text": "{{ greeting }}", "level": 2},
        {"type": "text", "html": f"<p>{words}</p>"},
        {"type": "button", "text": button, "href": "{{ page_url }}"},
        {"type": "text", "html": f"<p>{note}</p>"},
    ]
    return Draft(subject, {"version": 1, "preheader": "", "blocks": blocks})
