"""Answers to htmx: recognise it, and say news as toasts whichever way the page comes."""

import json
from typing import Any, Literal

from flask import Flask, Response, flash, get_flashed_messages, request

Kind = Literal["success", "warning", "danger"]
GOES_ELSEWHERE = ("HX-Redirect", "HX-Location", "HX-Refresh")
WANTS_A_WHOLE_PAGE = ("HX-Boosted", "HX-History-Restore-Request")


def init(app: Flask) -> None:
    """Let toasts of htmx answers travel in a header."""
    app.after_request(_hand_over_toasts)


def is_htmx() -> bool:
    """Return whether the answer will be swapped into a part of a page.

    False for whole-page requests that htmx makes too (boosted links, restored history): those
    need the layout.
    """
    asked = request.headers.get("HX-Request") == "true"
    return asked and not any(name in request.headers for name in WANTS_A_WHOLE_PAGE)


def wants_json() -> bool:
    """Return whether the request speaks JSON, or asks for it rather than for a page."""
    if request.is_json:
        return True
    accepts = request.accept_mimetypes
    return accepts["application/json"] > accepts["text/html"]


def toast(text: str, kind: Kind = "success") -> None:
    """Show ``text`` in a corner: with this answer to htmx, else on the next whole page.

    It rests in the session cookie meanwhile, which is signed but readable: no personal data.
    """
    flash(text, kind)


def trigger(response: Response, items: list[dict[str, str]]) -> None:
    """Add toasts to the answer's HX-Trigger header, beside what stands there."""
    present = response.headers.get("HX-Trigger", "")
    events = json.loads(present) if present.startswith("{") else dict.fromkeys(present.split())
    # Headers are latin-1: the default escapes keep Cyrillic whole.
    response.headers["HX-Trigger"] = json.dumps({**events, "toast": {"items": items}})


def _hand_over_toasts(response: Response) -> Response:
    moves_on = response.status_code in range(300, 400) or any(
        name in response.headers for name in GOES_ELSEWHERE
    )
    if not is_htmx() or moves_on:
        return response
    news: list[Any] = list(get_flashed_messages(with_categories=True))
    if news:
        trigger(response, [{"kind": kind, "text": str(text)} for kind, text in news])
    return response
