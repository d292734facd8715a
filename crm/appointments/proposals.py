"""Setting the time of a visit: offered by letter, or agreed on by phone."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.appointments import letters, service
from crm.appointments.letters import Subject
from crm.appointments.models import Appointment, AppointmentState, Request
from crm.appointments.rules import OFFERED, Outcome, may_be_offered, offered
from crm.appointments.visits import Ended, must_hold, note_act
from crm.config import Settings
from crm.errors import WrongState, later


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """When and where, as reception has typed it."""

    starts_at: datetime
    place: str
    revision: int
    """Of the appointment when the page was opened; 0 where there was none."""


class NoLetter(WrongState):
    """There is no address a letter could go to."""

    say = later("No letter can be sent to this person. Call them, then note what was agreed.")


def propose(
    session: Session,
    request_id: int,
    visit: Visit,
    *,
    staff_id: int,
    settings: Settings,
    at: datetime,
) -> Appointment:
    """Offer the patient a time by letter; the request leaves the queue.

    Sent twice by a double click it is one proposal and one letter.

    Raises:
        NotFound: no such request.
        NotHeld: the request waits, or somebody else has it.
        WrongState: the appointment was changed since the page was opened, or has ended.
        NoLetter: no letter can reach this person.

    """
    held = _held(session, request_id, staff_id)
    known = _known(session, held)
    if known is not None and known.state in OFFERED and _is_again(known, visit):
        return known
    if letters.obstacle(session, held.email_id, settings=settings, at=at) is not None:
        raise NoLetter(f"request {request_id}")
    appointment = _to_change(session, held, known, visit, staff_id=staff_id, at=at)
    appointment.state = offered(old=appointment.starts_at, new=visit.starts_at)
    _write(appointment, visit, at=at)
    service.finish(held, Outcome.APPOINTED, at=at)
    letters.send(session, Subject.PROPOSED, appointment, settings=settings, at=at)
    note_act(session, "appointment.proposed", appointment, actor_id=staff_id, at=at)
    session.flush()
    return appointment


def agree(
    session: Session,
    request_id: int,
    visit: Visit,
    *,
    staff_id: int,
    settings: Settings,
    at: datetime,
) -> Appointment:
    """Note a time agreed on by phone: confirmed at once, with a letter where one can go.

    Raises:
        NotFound: no such request.
        NotHeld: the request waits, or somebody else has it.
        WrongState: the appointment was changed since the page was opened, or has ended.

    """
    held = _held(session, request_id, staff_id)
    known = _known(session, held)
    confirmed = AppointmentState.CONFIRMED
    if known is not None and known.state is confirmed and _is_again(known, visit):
        return known
    appointment = _to_change(session, held, known, visit, staff_id=staff_id, at=at)
    appointment.state = confirmed
    _write(appointment, visit, at=at)
    appointment.answered_at = at
    service.finish(held, Outcome.APPOINTED, at=at)
    letters.send(session, Subject.CONFIRMED, appointment, settings=settings, at=at)
    note_act(session, "appointment.agreed", appointment, actor_id=staff_id, at=at)
    session.flush()
    return appointment


def _held(session: Session, request_id: int, staff_id: int) -> Request:
    held = service.lock(session, request_id)
    must_hold(held, staff_id)
    return held


def _known(session: Session, held: Request) -> Appointment | None:
    return session.scalar(
        select(Appointment)
        .where(Appointment.request_id == held.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _is_again(known: Appointment, visit: Visit) -> bool:
    return (known.starts_at, known.place, known.revision) == (
        visit.starts_at,
        visit.place,
        visit.revision + 1,
    )


def _to_change(
    session: Session,
    held: Request,
    known: Appointment | None,
    visit: Visit,
    *,
    staff_id: int,
    at: datetime,
) -> Appointment:
    """Return the appointment that gets the new time, made where there is none."""
    if (known.revision if known else 0) != visit.revision:
        raise WrongState(f"request {held.id} has moved on")
    if known is None:
        known = Appointment(
            request_id=held.id,
            contact_id=held.contact_id,
            state=AppointmentState.REQUESTED,
            lang=held.lang,
            created_at=at,
            created_by=staff_id,
        )
        session.add(known)
        session.flush()
    elif not may_be_offered(known.state):
        raise Ended(f"appointment {known.id}")
    known.email_id = held.email_id
    return known


def _write(appointment: Appointment, visit: Visit, *, at: datetime) -> None:
    appointment.starts_at, appointment.place = visit.starts_at, visit.place
    appointment.revision += 1
    appointment.proposed_at, appointment.answered_at, appointment.wish = at, None, ""
