"""Who may send a form, and what is known of how it came. No cookie is read, so none is forged."""

import hashlib
import hmac
from datetime import datetime
from typing import Any

from flask import request
from flask_babel import lazy_gettext

from crm.config import Settings
from crm.errors import Forbidden, Invalid, later
from crm.intake import rules, stamp
from crm.intake.evidence import Circumstances
from crm.intake.models import Form
from crm.intake.once import Once, once
from crm.web.locale import language

FOREIGN = later("This form does not take anything from the page that sent it.")
NO_ORIGIN = later("A program needs the form's API token, and a browser must say its Origin.")
BAD_KEY = later("An Idempotency-Key is 1 to 255 ordinary Latin characters long.")
TRAPPED = lazy_gettext(
    "Our protection against robots has stopped this. Nothing was sent. Please press the button "
    "once more."
)
TOO_FAST = lazy_gettext(
    "This came faster than a person can type. Nothing was sent. Please press the button once more."
)
TOO_OLD = lazy_gettext(
    "The page was open for too long. Nothing was sent. Check what is below and send it again."
)


def admit(form: Form, settings: Settings) -> str | None:
    """Return the Origin whose page may send this form; None for a program with the form's token.

    Raises:
        Forbidden: a page that the form does not list, or a program without the token.

    """
    origin = request.headers.get("Origin")
    if origin is None:
        if not _bears_token(form):
            raise Forbidden(say=NO_ORIGIN)
    elif not rules.may_post(origin, form.origins, public_url=settings.public_url):
        raise Forbidden(say=FOREIGN)
    return origin


def _bears_token(form: Form) -> bool:
    scheme, _blank, token = request.headers.get("Authorization", "").partition(" ")
    given = hashlib.sha256(token.strip().encode("utf-8", "replace")).hexdigest()
    right = form.token_digest
    return scheme.lower() == "bearer" and right is not None and hmac.compare_digest(given, right)


def suspicion(
    form: Form, *, trap: str, stamped: str, settings: Settings, at: datetime
) -> str | None:
    """Return what to say to a person who looks like a robot; None where nothing is odd.

    A site's own form has no ``_t``; one that has it must have ours. Robots are told the same as
    people and get nothing stored: a request that only seemed to be taken in would be worse.
    """
    if trap:
        return str(TRAPPED)
    if not stamped:
        return None
    found = stamp.read(stamped, form.id, keys=settings.secret_keys)
    if found is None:
        return str(TOO_OLD)
    match rules.haste(found.shown_at, at=at):
        case rules.Haste.TOO_FAST:
            return str(TOO_FAST)
        case rules.Haste.TOO_OLD:
            return str(TOO_OLD)
        case None:
            return None


def key_of(
    form: Form, came: list[tuple[str, Any]], *, stamped: str, settings: Settings
) -> Once | None:
    """Return what makes a repetition of this POST known, if it bears anything of the kind.

    A program sends an Idempotency-Key. A browser that sends our form twice (a double click, a
    reload of the thanks) sends the same stamp with the same words.

    Raises:
        Invalid: the key is malformed.

    """
    said = [(name, str(value)) for name, value in came if name not in rules.DEFENCE]
    key = request.headers.get("Idempotency-Key")
    if key is not None:
        if not (0 < len(key) <= rules.LONGEST_KEY and key.isascii() and key.isprintable()):
            raise Invalid(say=BAD_KEY)
        return once(f"key:{key}", said, keys=settings.secret_keys)
    found = stamp.read(stamped, form.id, keys=settings.secret_keys) if stamped else None
    if found is None:
        return None
    words = once("", said, keys=settings.secret_keys).digests[0].hex()
    return once(f"page:{found.nonce}:{words}", said, keys=settings.secret_keys)


def circumstances() -> Circumstances:
    """Return from where this request came."""
    return Circumstances(
        origin=request.headers.get("Origin", ""),
        page=rules.without_query(request.headers.get("Referer", "")),
        ip=request.remote_addr or "",
        user_agent=request.headers.get("User-Agent", ""),
        lang=language(),
    )
