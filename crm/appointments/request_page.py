"""One request as reception sees it: shared by the views that show it and those that refuse."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from crm import clock
from crm.appointments import letters, lists
from crm.appointments.forms import VisitForm
from crm.appointments.models import Appointment, Request, RequestState
from crm.appointments.rules import BY_HAND, EARLY, OPEN, Outcome, may_be_offered
from crm.clinic.service import details
from crm.current import settings
from crm.db import session
from crm.delivery.states import DeliveryState
from crm.errors import NotFound
from crm.web.locale import language
from crm.web.typed import typed_values


def page(
    request_id: int, *, form: VisitForm | None = None, said: str = "", status: int = 200
) -> ResponseReturnValue:
    """Answer with the request as it stands now; what was typed into ``form`` is kept."""
    row = lists.one(session(), request_id)
    if row is None:
        raise NotFound(f"request {request_id}")
    at, known = clock.now(), row.Appointment
    form = form or _prefilled(known, at=at)
    form.revision.data = str(known.revision if known else 0)
    page = render_template(
        "appointments/request.html",
        row=row,
        mine=row.Request.claimed_by == current_user.id,
        may_arrange=_may_arrange(row.Request, known),
        form=form,
        zone=letters.zone_words(at, zone=details(session()).zone, lang=language()),
        today=at.astimezone(zone()).date(),
        obstacle=letters.obstacle(session(), row.Request.email_id, settings=settings(), at=at),
        letter=letter_state(known),
        is_open=known is not None and known.state in OPEN,
        now=at,
        arrivable=at + EARLY,
        outcomes=BY_HAND,
        said=said,
        typed=typed_values(request.form) if said else [],
    )
    return make_response(page, status)


def _prefilled(known: Appointment | None, *, at: datetime) -> VisitForm:
    there, usual = zone(), details(session()).postal_address
    given: dict[str, Any] = {"place": known.place if known else usual}
    if known is not None and known.starts_at is not None:
        wall = known.starts_at.astimezone(there)
        given |= {"day": wall.date(), "hour": wall.time()}
    return VisitForm(zone=there, usual_place=usual, at=at, formdata=None, data=given)


def _may_arrange(asked: Request, known: Appointment | None) -> bool:
    if known is not None and not may_be_offered(known.state):
        return False
    if asked.state is RequestState.DONE:
        return asked.outcome == Outcome.APPOINTED
    return asked.claimed_by == int(current_user.id)


def letter_state(known: Appointment | None) -> DeliveryState | None:
    """Return what has become of the last letter about an appointment, if there was one."""
    if known is None or known.delivery_id is None:
        return None
    return lists.letter_state(session(), known.delivery_id)


def zone() -> ZoneInfo:
    """Return the clinic's zone."""
    return ZoneInfo(details(session()).zone)
