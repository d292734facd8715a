"""Reception: the queue, one request, the day. Marketing sees none of it."""

from datetime import date, datetime, timedelta
from http import HTTPStatus

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user

from crm import clock
from crm.appointments import letters, lists, proposals, service, visits
from crm.appointments.forms import VisitForm
from crm.appointments.lists import Tab
from crm.appointments.models import Appointment
from crm.appointments.request_page import letter_state, page, zone
from crm.appointments.rules import BY_HAND, EARLY, Act, Outcome
from crm.audit.service import note
from crm.clinic.service import details
from crm.current import settings
from crm.db import session
from crm.delivery.states import DeliveryState
from crm.errors import Invalid, NotFound, WrongState, later
from crm.web.access import allow
from crm.web.htmx import is_htmx, toast
from crm.web.locale import language

bp = Blueprint("appointments", __name__, url_prefix="/reception")

ID = "int(max=9223372036854775807)"
STOP_POLLING = 286
ON_ITS_WAY = (DeliveryState.QUEUED, DeliveryState.SENDING)
LISTED_DAYS = range(2000, 2101)
NO_OUTCOME = later("Say how the request ended.")
NO_ANSWER = later("Say whether the patient came.")
BAD_DAY = later("This is not a date. Write it as 2027-11-24.")


@bp.app_template_filter()
def visit_time(value: datetime) -> str:
    """Return «24 ноября, вторник, 10:30» in the clinic's zone."""
    return letters.long_words(value, zone=details(session()).zone, lang=language())


@bp.get("")
@allow("receptionist", "dpo")
def queue() -> str:
    """Show the tabs; to htmx, only what changes."""
    at, me = clock.now(), current_user.id
    given = request.args.get("tab")
    tab = Tab(given) if given in set(Tab) else Tab.WAITING
    of_requests = tab in (Tab.WAITING, Tab.MINE)
    return render_template(
        "appointments/_lists.html" if is_htmx() else "appointments/queue.html",
        tab=tab,
        counts=lists.counts(session(), staff_id=me, at=at),
        requests=lists.requests(session(), tab, staff_id=me) if of_requests else None,
        visits=None if of_requests else lists.visits(session(), tab, at=at),
        most=lists.MOST,
    )


@bp.get("/day")
@allow("receptionist", "dpo")
def day() -> str:
    """Show the appointments of one day, today's unless ``?on=`` says another."""
    at, there = clock.now(), zone()
    on = _day(request.args.get("on"), today=at.astimezone(there).date())
    return render_template(
        "appointments/day.html",
        on=on,
        today=at.astimezone(there).date(),
        before=on - timedelta(days=1),
        after=on + timedelta(days=1),
        visits=lists.visits_on(session(), on, zone=there),
        arrivable=at + EARLY,
        now=at,
    )


@bp.get(f"/requests/<{ID}:request_id>")
@allow("receptionist", "dpo")
def show(request_id: int) -> ResponseReturnValue:
    """Show one request, its appointment and what may be done."""
    found = service.find(session(), request_id)
    note(
        session(),
        "request.viewed",
        at=clock.now(),
        actor_id=current_user.id,
        subject="request",
        subject_id=request_id,
        contact_id=found.contact_id,
    )
    session().commit()
    return page(request_id)


@bp.get(f"/requests/<{ID}:request_id>/letter")
@allow("receptionist", "dpo")
def letter(request_id: int) -> Response:
    """Show what has become of the letter; polled until it has ended."""
    row = lists.one(session(), request_id)
    if row is None:
        raise NotFound(f"request {request_id}")
    state = letter_state(row.Appointment)
    answer = make_response(
        render_template("appointments/_letter.html", letter=state, request_id=request_id)
    )
    if state not in ON_ITS_WAY:
        answer.status_code = STOP_POLLING
    return answer


@bp.post(f"/requests/<{ID}:request_id>/claim")
@allow("receptionist")
def claim(request_id: int) -> ResponseReturnValue:
    """Take a request; the second of two is told who has it."""
    held = service.claim(session(), request_id, staff_id=current_user.id, at=clock.now())
    session().commit()
    if held is None:
        return _back(request_id)
    said = _("%(name)s has taken this request already.", name=held.name)
    return page(request_id, said=said, status=HTTPStatus.CONFLICT)


@bp.post(f"/requests/<{ID}:request_id>/release")
@allow("receptionist")
def release(request_id: int) -> ResponseReturnValue:
    """Put a request back."""
    service.release(session(), request_id, staff_id=current_user.id, at=clock.now())
    session().commit()
    toast(_("The request is back in the queue."))
    return redirect(url_for("appointments.queue"), HTTPStatus.SEE_OTHER)


@bp.post(f"/requests/<{ID}:request_id>/close")
@allow("receptionist")
def close(request_id: int) -> ResponseReturnValue:
    """Close a request without an appointment."""
    given = request.form.get("outcome", "")
    if given not in BY_HAND:
        raise Invalid(say=NO_OUTCOME)
    service.close(session(), request_id, Outcome(given), staff_id=current_user.id, at=clock.now())
    session().commit()
    toast(_("The request is closed."))
    return redirect(url_for("appointments.queue", tab=Tab.MINE.value), HTTPStatus.SEE_OTHER)


@bp.post(f"/requests/<{ID}:request_id>/propose")
@allow("receptionist")
def propose(request_id: int) -> ResponseReturnValue:
    """Offer a time by letter."""
    return _arrange(request_id, Act.PROPOSE)


@bp.post(f"/requests/<{ID}:request_id>/agree")
@allow("receptionist")
def agree(request_id: int) -> ResponseReturnValue:
    """Note a time agreed on by phone."""
    return _arrange(request_id, Act.AGREE)


@bp.post(f"/appointments/<{ID}:appointment_id>/cancel")
@allow("receptionist")
def cancel(appointment_id: int) -> ResponseReturnValue:
    """Call a visit off."""
    cancelled = visits.cancel(
        session(),
        appointment_id,
        staff_id=current_user.id,
        settings=settings(),
        at=clock.now(),
    )
    session().commit()
    toast(_("The appointment is cancelled."))
    return _after_visit(cancelled)


@bp.post(f"/appointments/<{ID}:appointment_id>/attend")
@allow("receptionist")
def attend(appointment_id: int) -> ResponseReturnValue:
    """Note that the patient came, or did not."""
    given = request.form.get("act", "")
    if given not in (Act.ARRIVE, Act.MISS):
        raise Invalid(say=NO_ANSWER)
    noted = visits.attend(
        session(), appointment_id, Act(given), staff_id=current_user.id, at=clock.now()
    )
    session().commit()
    toast(
        _("It is noted that the patient came.")
        if given == Act.ARRIVE
        else _("It is noted that the patient did not come.")
    )
    return _after_visit(noted)


def _arrange(request_id: int, act: Act) -> ResponseReturnValue:
    service.find(session(), request_id)
    at, clinic = clock.now(), details(session())
    form = VisitForm(zone=zone(), usual_place=clinic.postal_address, at=at)
    if not form.validate():
        return page(request_id, form=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    arrange = proposals.propose if act is Act.PROPOSE else proposals.agree
    try:
        arrange(
            session(),
            request_id,
            form.visit,
            staff_id=current_user.id,
            settings=settings(),
            at=at,
        )
    except WrongState as refusal:
        session().rollback()
        return page(request_id, form=form, said=_(refusal.say), status=refusal.status)
    session().commit()
    toast(_("The time is noted."))
    return _back(request_id)


def _day(given: str | None, *, today: date) -> date:
    if not given:
        return today
    try:
        found = date.fromisoformat(given)
    except ValueError as error:
        raise Invalid(say=BAD_DAY) from error
    if found.year not in LISTED_DAYS:
        raise Invalid(say=BAD_DAY)
    return found


def _back(request_id: int) -> ResponseReturnValue:
    return redirect(url_for("appointments.show", request_id=request_id), HTTPStatus.SEE_OTHER)


def _after_visit(visit: Appointment) -> ResponseReturnValue:
    """Return to the list that the button stood in, else to the request."""
    if request.form.get("back") == "day" or visit.request_id is None:
        on = visit.starts_at.astimezone(zone()).date() if visit.starts_at else None
        return redirect(url_for("appointments.day", on=on), HTTPStatus.SEE_OTHER)
    return _back(visit.request_id)
