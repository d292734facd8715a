"""Language and time zone of a page."""

from collections.abc import Callable

from flask import Flask, has_request_context, request
from flask_babel import Babel, get_locale

from crm.web.identity import wish
from crm.web.public_list import SIGN_IN, STRANGERS

LANGUAGES = {"ru": "Русский", "en": "English"}
DEFAULT = "ru"


def moscow() -> str:
    """Return the zone used until the clinic has said its own."""
    return "Europe/Moscow"


def init(app: Flask, *, zone: Callable[[], str | None]) -> None:
    """Choose language and zone for every request of ``app``."""
    Babel(
        app,
        default_locale=DEFAULT,
        default_timezone=moscow(),
        locale_selector=select,
        timezone_selector=zone,
    )
    app.add_template_global(language)
    app.add_template_global(other_languages)


def select() -> str:
    """Return the language of this request.

    Public pages go by ``?lang=`` and never ask who is signed in; staff by their own setting.
    """
    asked = said() if has_request_context() else None
    if asked:
        return asked
    if not has_request_context() or request.endpoint in STRANGERS:
        return DEFAULT
    chosen = wish("lang")
    return chosen if chosen in LANGUAGES else DEFAULT


def said() -> str | None:
    """Return the language named in the address, where the address may name one."""
    asked = request.args.get("lang")
    open_to_strangers = request.endpoint in STRANGERS | SIGN_IN
    return asked if open_to_strangers and asked in LANGUAGES else None


def language() -> str:
    """Return the code of the page's language: ``ru`` or ``en``."""
    found = get_locale()
    return found.language if found else DEFAULT


def other_languages() -> list[tuple[str, str]]:
    """Return code and own name of each language that the page is not in."""
    return [(code, name) for code, name in LANGUAGES.items() if code != language()]
