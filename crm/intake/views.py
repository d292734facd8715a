"""The hosted form: shown, taken in; and the archive of the texts it shows."""

import logging
from dataclasses import replace
from typing import Final

from flask import Blueprint, Response, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from werkzeug.exceptions import HTTPException

from crm import clock
from crm.clinic.service import details
from crm.current import settings
from crm.db import session
from crm.errors import CrmError
from crm.intake import answers, door, forms, rules, service
from crm.intake.models import Form
from crm.intake.once import Once, earlier
from crm.mail.addresses import Domains
from crm.web import headers, refusals
from crm.web.limits import limiter

bp = Blueprint("intake", __name__)
log = logging.getLogger(__name__)

TRIES: Final = "120 per minute"
"""POSTs from one network address, whatever becomes of them."""
ACCEPTED: Final = "30 per minute; 300 per hour"
"""Submissions taken in from one network address: a mobile operator's may be many people's."""
OURS: Final = frozenset({"intake.show_form", "intake.take_in"})


@bp.get("/f/<form_key>", provide_automatic_options=False)
def show_form(form_key: str) -> ResponseReturnValue:
    """Show the form; with ``?embed=1`` without our header, to stand in the clinic's own page."""
    form = _open(form_key)
    empty = forms.sort_out([], form.text_keys)
    return answers.page(session(), form, empty, settings=settings(), at=clock.now())


@bp.route("/f/<form_key>", methods=["POST", "OPTIONS"], provide_automatic_options=False)
@limiter.limit(TRIES, methods=["POST"])
@limiter.limit(ACCEPTED, methods=["POST"], deduct_when=lambda answer: answer.status_code == 201)
def take_in(form_key: str) -> ResponseReturnValue:
    """Take a submission in: 201, or a sentence for each thing that must be corrected."""
    form = _open(form_key)
    g.crm_listed_origin = door.admit(form, settings())
    if request.method == "OPTIONS":
        return answers.preflight()
    came = forms.pairs(request)
    given = forms.sort_out(came, form.text_keys)
    once = door.key_of(form, came, stamped=given.stamp, settings=settings())
    if once is None or earlier(session(), form, once) is None:
        refused = _submit(form, given, once)
        if refused is not None:
            return refused
    return answers.thanks(session(), form, ticked=list(given.boxes), at=clock.now())


@bp.get("/texts/<int:text_id>")
def text(text_id: int) -> ResponseReturnValue:
    """Show any version of a text that was ever shown, for ever."""
    found = service.find_text(session(), min(text_id, forms.LARGEST_ID))
    return render_template("intake/text.html", text=found, clinic=details(session()))


def _submit(form: Form, given: forms.Given, once: Once | None) -> Response | None:
    at = clock.now()
    hasty = door.suspicion(form, trap=given.trap, stamped=given.stamp, settings=settings(), at=at)
    if hasty:
        return _refuse(form, given, {}, status=422, say=hasty)
    filled = forms.read(given, domains=_domains())
    if isinstance(filled, dict):
        return _refuse(form, given, filled, status=422)
    texts, stale = service.in_force(session(), filled.ticked, at=at)
    if stale:
        fresh = replace(given, boxes={k: v for k, v in given.boxes.items() if k not in stale})
        return _refuse(form, fresh, {rules.BOX + key: _stale() for key in stale}, status=409)
    if any(service.lacks_address(one, filled) for one in texts.values()):
        return _refuse(form, given, {"email": str(forms.NO_EMAIL_FOR_LETTERS)}, status=422)
    submission = service.submit(
        session(),
        form,
        filled,
        texts,
        door.circumstances(),
        once,
        settings=settings(),
        at=at,
    )
    submission_id = submission.id
    session().commit()
    log.info("submission taken in", extra={"submission_id": submission_id})
    return None


def _stale() -> str:
    return str(_("The text of this consent has changed. Read the new one and tick the box again."))


def _refuse(
    form: Form, given: forms.Given, errors: dict[str, str], *, status: int, say: str = ""
) -> Response:
    return answers.refused(
        session(),
        form,
        given,
        errors,
        status=status,
        settings=settings(),
        at=clock.now(),
        say=say,
    )


def _open(form_key: str) -> Form:
    form = service.find(session(), form_key)
    headers.embeddable_from(form.origins)
    return form


def _domains() -> Domains:
    on_trial = settings().testing or not settings().secure
    return Domains.WITH_TEST if on_trial else Domains.PUBLIC


@bp.errorhandler(RateLimitExceeded)
def too_often(_error: RateLimitExceeded) -> Response:
    """Say that it was too often, and keep what was typed."""
    say = _("Too much came from your network just now. Nothing was sent. Try again in a minute.")
    try:
        form = _open((request.view_args or {})["form_key"])
        given = forms.sort_out(forms.pairs(request), form.text_keys)
        response = _refuse(form, given, {}, status=429, say=say)
    except (CrmError, HTTPException):
        response = refusals.answer(429, say=say)
    response.headers["Retry-After"] = "60"
    return response


@bp.after_request
def speak_to_browsers(response: Response) -> Response:
    """Let our own form bear its Origin, and let a script of a listed page read the answer."""
    if request.endpoint not in OURS:
        return response
    # Under no-referrer a browser would post our own form with `Origin: null`.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.add("Vary", "Origin")
    if g.get("crm_listed_origin"):
        response.headers["Access-Control-Allow-Origin"] = g.crm_listed_origin
    return response
