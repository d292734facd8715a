"""The queue of reception: what comes in, who has it, and how it was closed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crm.appointments.models import Appointment, Request, RequestKind, RequestState
from crm.appointments.rules import Outcome
from crm.audit.service import note
from crm.errors import NotFound, WrongState, later
from crm.staff.models import Staff


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Somebody else was quicker."""

    name: str
    """Of the member of staff who has the request."""


def request(
    session: Session,
    *,
    kind: RequestKind,
    contact_id: int,
    email_id: int | None,
    phone_id: int | None,
    message: str,
    source: str,
    lang: str,
    at: datetime,
) -> Request:
    """Put what somebody asked for into the queue.

    Args:
        session: flushed, not committed.
        kind: what the form was for.
        contact_id: who asks.
        email_id: the address given with it; letters about it go nowhere else.
        phone_id: the number given with it.
        message: as typed, at most 2,000 characters.
        source: ``form:<key>``, ``phone`` or ``desk``.
        lang: ``ru`` or ``en``: the language of the letters that follow.
        at: when it came in.

    """
    taken_in = Request(
        kind=kind,
        contact_id=contact_id,
        email_id=email_id,
        phone_id=phone_id,
        message=message,
        source=source,
        lang=lang,
        received_at=at,
    )
    session.add(taken_in)
    session.flush()
    return taken_in


def find(session: Session, request_id: int) -> Request:
    """Return the request. Raises NotFound."""
    found = session.get(Request, request_id)
    if found is None:
        raise NotFound(f"request {request_id}")
    return found


def lock(session: Session, request_id: int) -> Request:
    """Return the request as it is now, its row locked. Raises NotFound.

    Whoever changes a request or its appointment locks the request first: one order, no deadlock.
    """
    found = session.scalar(
        select(Request)
        .where(Request.id == request_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound(f"request {request_id}")
    return found


def claim(session: Session, request_id: int, *, staff_id: int, at: datetime) -> HeldBy | None:
    """Give a waiting request to this receptionist; return who has it where somebody else does.

    Of two at once exactly one gets it: the database takes the second one's update after the first
    one's commit. One's own request again is no refusal.

    Raises:
        NotFound: no such request.
        WrongState: it is closed.

    """
    won = session.scalar(
        update(Request)
        .where(Request.id == request_id, Request.state == RequestState.WAITING)
        .values(state=RequestState.CLAIMED, claimed_by=staff_id, claimed_at=at)
        .returning(Request.id)
    )
    if won is not None:
        _note(session, "request.claimed", request_id, staff_id=staff_id, at=at)
        return None
    held = lock(session, request_id)
    if held.state is not RequestState.CLAIMED:
        raise WrongState(f"request {request_id} is {held.state.value}")
    if held.claimed_by == staff_id:
        return None
    return HeldBy(_name(session, held.claimed_by))


def release(session: Session, request_id: int, *, staff_id: int, at: datetime) -> None:
    """Put one's own request back into the queue, at its old place. Raises NotHeld, NotFound."""
    held = held_by(session, request_id, staff_id)
    held.state, held.claimed_by, held.claimed_at = RequestState.WAITING, None, None
    _note(session, "request.released", request_id, staff_id=staff_id, at=at)
    session.flush()


def close(
    session: Session, request_id: int, outcome: Outcome, *, staff_id: int, at: datetime
) -> None:
    """Close one's own request without an appointment.

    Raises:
        NotHeld: it is not in this person's hands.
        WrongState: it has an appointment; that one is cancelled instead.

    """
    held = held_by(session, request_id, staff_id)
    if session.scalar(select(Appointment.id).where(Appointment.request_id == request_id)):
        raise WrongState(say=HAS_APPOINTMENT)
    finish(held, outcome, at=at)
    _note(session, "request.closed", request_id, staff_id=staff_id, at=at, outcome=outcome.value)
    session.flush()


HAS_APPOINTMENT = later("This request has an appointment already. Cancel the appointment instead.")


class NotHeld(WrongState):
    """Somebody acts on a request that is not in their hands."""

    say = later("Take the request first: it is not in your hands.")


def held_by(session: Session, request_id: int, staff_id: int) -> Request:
    """Return the request, locked, if this person has claimed it. Raises NotHeld, NotFound."""
    found = lock(session, request_id)
    if found.state is not RequestState.CLAIMED or found.claimed_by != staff_id:
        raise NotHeld(f"request {request_id}")
    return found


def finish(held: Request, outcome: Outcome, *, at: datetime) -> None:
    """Take a locked request out of the queue; who had it stays known."""
    held.state, held.outcome, held.closed_at = RequestState.DONE, outcome.value, at


def reopen(held: Request) -> None:
    """Put a locked request back into the queue, in nobody's hands: the patient has answered."""
    held.state, held.outcome, held.closed_at = RequestState.WAITING, None, None
    held.claimed_by, held.claimed_at = None, None


def _name(session: Session, staff_id: int | None) -> str:
    return session.scalar(select(Staff.name).where(Staff.id == staff_id)) or "—"


def _note(
    session: Session,
    act: str,
    request_id: int,
    *,
    staff_id: int,
    at: datetime,
    outcome: str | None = None,
) -> None:
    note(
        session,
        act,
        at=at,
        actor_id=staff_id,
        subject="request",
        subject_id=request_id,
        outcome=outcome,
    )
