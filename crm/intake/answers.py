"""What a visitor, or a program, gets back: the form, the thanks, or what must be corrected."""

from datetime import datetime

from flask import Response, jsonify, make_response, render_template, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.config import Settings
from crm.consent.rules import Purpose
from crm.contacts.typed import LONGEST_NAME
from crm.intake import rules, service, stamp
from crm.intake.forms import Given
from crm.intake.models import Form
from crm.web.htmx import wants_json
from crm.web.locale import language

PREFLIGHT_S = "600"
LIMITS = {
    "name": LONGEST_NAME,
    "email": rules.LONGEST_EMAIL,
    "phone": rules.LONGEST_PHONE,
    "message": rules.LONGEST_MESSAGE,
}
ON_THE_PAGE = ("last_name", "first_name", "patronymic", "phone", "email", "message")


def page(
    session: Session,
    form: Form,
    given: Given,
    *,
    settings: Settings,
    at: datetime,
    errors: dict[str, str] | None = None,
    say: str = "",
) -> str:
    """Return the form with what was typed, a sentence above it and one beside each fault.

    Raises:
        Closed: there is no text to consent to.

    """
    lang, errors = language(), errors or {}
    return render_template(
        "intake/form.html",
        form=form,
        title=title(form, lang),
        given=given,
        errors=errors,
        summary=_summary(errors),
        say=say,
        texts=service.shown_texts(session, form, lang=lang, at=at),
        policy=service.policy(session, lang=lang, at=at),
        stamp=_stamp(form, given, settings=settings, at=at),
        clinic=details(session),
        limits=LIMITS,
        embedded="embed" in request.args,
    )


def refused(
    session: Session,
    form: Form,
    given: Given,
    errors: dict[str, str],
    *,
    status: int,
    settings: Settings,
    at: datetime,
    say: str = "",
) -> Response:
    """Answer that nothing was stored, and why; what was typed is kept on the page."""
    session.rollback()
    if wants_json():
        sentence = say or _("Please correct what was typed.")
        response = jsonify(status="refused", error=sentence, errors=errors)
    else:
        response = make_response(
            page(session, form, given, settings=settings, at=at, errors=errors, say=say)
        )
    response.status_code = status
    return response


def thanks(session: Session, form: Form, *, ticked: list[str], at: datetime) -> Response:
    """Answer that it was taken in: the same words whether or not the address was known before."""
    if wants_json():
        response = jsonify(status="accepted")
    else:
        lang = language()
        texts = service.shown_texts(session, form, lang=lang, at=at)
        promotion = {one.key for one in texts if one.purpose is Purpose.MARKETING}
        response = make_response(
            render_template(
                "intake/thanks.html",
                form=form,
                title=title(form, lang),
                awaits_letter=not promotion.isdisjoint(ticked),
                clinic=details(session),
                embedded="embed" in request.args,
            )
        )
    response.status_code = 201
    return response


def preflight() -> Response:
    """Answer a browser that asks on behalf of a listed page what it may send."""
    response = make_response("", 204)
    response.headers["Access-Control-Allow-Methods"] = "POST"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type, Idempotency-Key"
    response.headers["Access-Control-Max-Age"] = PREFLIGHT_S
    return response


def title(form: Form, lang: str) -> str:
    """Return the form's name in the language of the page."""
    return form.title_en if lang == "en" else form.title_ru


def _stamp(form: Form, given: Given, *, settings: Settings, at: datetime) -> str:
    """Return the stamp that came, so that the time spent counts; a new one if it is no good."""
    keys = settings.secret_keys
    came = stamp.read(given.stamp, form.id, keys=keys) if given.stamp else None
    if came is not None and rules.haste(came.shown_at, at=at) is not rules.Haste.TOO_OLD:
        return given.stamp
    return stamp.mint(form.id, keys=keys, at=at)


def _summary(errors: dict[str, str]) -> list[tuple[str, str]]:
    """Return where each fault is and what it is, from top to bottom.

    A field that we do not have is nowhere, so it is named.
    """
    boxes = [name for name in errors if name.startswith(rules.BOX)]
    placed = [name for name in (*ON_THE_PAGE, *boxes) if name in errors]
    nowhere = [name for name in errors if name not in placed]
    return [
        *((name, errors[name]) for name in placed),
        *(("main", f"{name}: {errors[name]}") for name in nowhere),
    ]
