"""The patient's page of an appointment, ``/a/<token>``.

The token is the authority: no cookie, no sign-in, no script. Opening the page changes nothing,
because mail scanners open links; only a button does.
"""

from datetime import datetime

from flask import Response, make_response, render_template, request
from flask_babel import gettext as _

from crm import clock
from crm.appointments import visits
from crm.appointments.models import Appointment
from crm.appointments.rules import OFFERED, OPEN, PATIENT, Act, Refused, wish
from crm.clinic.service import details
from crm.consent.tokens import Right, read
from crm.current import settings
from crm.db import session
from crm.errors import InvalidToken, NotFound, WrongState, later

_CHOOSE = later("Choose one of the buttons.")
_CHANGED = later("The time has been changed since you opened this page. Please look again.")
_REFUSED = {
    Refused.ENDED: later("This visit can no longer be changed here. Please call the clinic."),
    Refused.NOT_NOW: later("We are already looking for another time. Please wait for our letter."),
}


def appointment(token: str) -> Response:
    """Show the appointment as it stands now; on POST take the patient's answer first."""
    appointment_id, revision = _right(token)
    at = clock.now()
    if request.method != "POST":
        return _page(_find(appointment_id), revision, at=at)
    return _answer(appointment_id, revision, at=at)


def _answer(appointment_id: int, revision: int, *, at: datetime) -> Response:
    given, typed = request.form.get("action", ""), request.form.get("wish", "")
    if given not in PATIENT:
        return _page(_find(appointment_id), revision, at=at, said=_CHOOSE, status=422)
    try:
        asked = wish(typed)
    except ValueError as error:
        found = _find(appointment_id)
        return _page(found, revision, at=at, wrong=str(error), typed=typed, status=422)
    seen = request.form.get("revision", revision, type=int)
    try:
        refused = visits.answer(
            session(), appointment_id, Act(given), revision=seen, wish=asked, at=at
        )
    except NotFound as error:
        raise InvalidToken from error
    except WrongState:
        session().rollback()
        return _page(_find(appointment_id), revision, at=at, said=_CHANGED, typed=typed, status=409)
    session().commit()
    found = _find(appointment_id)
    if refused is None:
        return _page(found, found.revision, at=at)
    return _page(found, revision, at=at, said=_REFUSED[refused], typed=typed, status=409)


def _page(
    found: Appointment,
    revision: int,
    *,
    at: datetime,
    said: str = "",
    wrong: str = "",
    typed: str = "",
    status: int = 200,
) -> Response:
    """Answer with the page; ``revision`` is the one that the opened link was made for."""
    if found.starts_at is None:
        raise InvalidToken
    page = render_template(
        "recipients/appointment.html",
        clinic=details(session()),
        visit=found,
        is_open=found.state in OPEN and found.starts_at > at,
        has_passed=found.starts_at <= at,
        is_offered=found.state in OFFERED,
        is_newer=found.revision != revision,
        said=_(said) if said else "",
        wrong=_(wrong) if wrong else "",
        typed=typed,
    )
    return make_response(page, status)


def _right(token: str) -> tuple[int, int]:
    match read(Right.APPOINTMENT, token, keys=settings().secret_keys):
        case [int(appointment_id), int(revision)]:
            return appointment_id, revision
    raise InvalidToken


def _find(appointment_id: int) -> Appointment:
    try:
        return visits.find(session(), appointment_id)
    except NotFound as error:
        raise InvalidToken from error
