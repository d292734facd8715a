"""Security headers: strict by default, with the few named exceptions that pages need."""

import re
from collections.abc import Iterable, Mapping

from flask import Flask, Response, current_app, g, request

from crm.web.public_list import STRANGERS

STAFF_CSP: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}

PUBLIC_CSP: Mapping[str, str] = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
"""Pages for recipients and visitors run no script at all."""

LETTER_CSP: Mapping[str, str] = {
    "sandbox": "allow-same-origin",
    "default-src": "'none'",
    "img-src": "'self' data:",
    "style-src": "'unsafe-inline'",
    "frame-ancestors": "'self'",
}
"""A letter as its recipient sees it: its own styles, no script, framed by our pages only."""

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
YEAR_S = 31_536_000
_KEY = "crm_csp"


def init(app: Flask) -> None:
    """Add the headers to every answer of ``app``."""
    app.after_request(_add)


def set_policy(policy: Mapping[str, str]) -> None:
    """Answer this request with another Content-Security-Policy, whole."""
    setattr(g, _KEY, dict(policy))


def show_letter() -> None:
    """Say that this answer is a letter's HTML, to be shown in a frame of ours."""
    set_policy(LETTER_CSP)


def embeddable_from(origins: Iterable[str]) -> None:
    """Let these origins (``https://clinic.example``) put this page into a frame; none: nobody.

    What is no origin is left out: staff type them, and a stray ``;`` would begin a directive.
    """
    allowed = " ".join(filter(ORIGIN.fullmatch, origins)) or "'none'"
    set_policy({**PUBLIC_CSP, "frame-ancestors": allowed})


def _add(response: Response) -> Response:
    policy = getattr(g, _KEY, None) or (PUBLIC_CSP if _is_public() else STAFF_CSP)
    wanted = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        # A public address carries a token; a staff form needs its referrer for the CSRF check.
        "Referrer-Policy": "no-referrer" if _is_public() else "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if request.is_secure or current_app.config.get("SESSION_COOKIE_SECURE"):
        wanted["Strict-Transport-Security"] = f"max-age={YEAR_S}"
    for name, value in wanted.items():
        response.headers.setdefault(name, value)
    _say_how_long_to_keep(response)
    return response


def _is_public() -> bool:
    return request.endpoint in STRANGERS


def _say_how_long_to_keep(response: Response) -> None:
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    elif response.status_code == 200 and "/build/" in request.path:
        # The name of a built file holds a hash of its content.
        response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
