"""What becomes of a visit: the patient's answer, calling it off, who came.

Each act locks the request first and the appointment after it, looks at the state as it is then,
and writes what was done into the audit log in the same transaction.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from crm.appointments import letters, service
from crm.appointments.models import Appointment, AppointmentState, Request, RequestState
from crm.appointments.rules import PATIENT, Act, Outcome, Refused, after
from crm.audit.service import note
from crm.config import Settings
from crm.errors import NotFound, WrongState, later


class Ended(WrongState):
    """The visit can no longer be changed."""

    say = later("This appointment has ended. Nothing has been changed.")


class TooEarly(WrongState):
    """Nobody arrives, or fails to, before the time."""

    say = later("The time of this visit has not come yet.")


def answer(
    session: Session,
    appointment_id: int,
    act: Act,
    *,
    revision: int,
    wish: str = "",
    at: datetime,
) -> Refused | None:
    """Take the patient's answer; return why it changes nothing, where it does not.

    The same answer twice is no refusal. Asking for another time puts the request back on top of
    the queue, in nobody's hands.

    Args:
        session: flushed, not committed.
        appointment_id: from the token.
        act: one of ``rules.PATIENT``.
        revision: of the proposal the patient has seen.
        wish: what they wrote beside it, read by ``rules.wish``.
        at: now.

    Raises:
        NotFound: no such appointment.
        WrongState: reception has changed the time since the page was opened.

    """
    if act not in PATIENT:
        raise ValueError(act)
    appointment, held = _locked(session, appointment_id)
    if appointment.revision != revision:
        raise WrongState(f"appointment {appointment_id} has moved on")
    before = appointment.state
    found = _after(appointment, act, at=at)
    if isinstance(found, Refused):
        return found
    if found is before:
        return None
    appointment.state, appointment.answered_at = found, at
    _follow(held, act, at=at)
    if act is Act.MOVE:
        appointment.wish = wish
    note_act(session, f"appointment.{found.value}", appointment, actor_id=None, at=at)
    session.flush()
    return None


def cancel(
    session: Session,
    appointment_id: int,
    *,
    staff_id: int,
    settings: Settings,
    at: datetime,
) -> Appointment:
    """Call the visit off, with a letter where one can go. Cancelled already: nothing is sent.

    Raises:
        NotFound: no such appointment.
        Ended: it has taken place, or its time has passed.
        NotHeld: the patient has asked to move it, and somebody else has taken that up.

    """
    appointment, held = _locked(session, appointment_id)
    if appointment.state is AppointmentState.CANCELLED:
        return appointment
    found = _after(appointment, Act.CANCEL, at=at)
    if isinstance(found, Refused) or appointment.starts_at is None or appointment.starts_at <= at:
        raise Ended(f"appointment {appointment_id}")
    if held is not None:
        must_hold(held, staff_id)
        service.finish(held, Outcome.APPOINTED, at=at)
    appointment.state = found
    letters.send(session, letters.Subject.CANCELLED, appointment, settings=settings, at=at)
    note_act(session, "appointment.cancelled", appointment, actor_id=staff_id, at=at)
    session.flush()
    return appointment


def attend(
    session: Session, appointment_id: int, act: Act, *, staff_id: int, at: datetime
) -> Appointment:
    """Note that the patient came (``Act.ARRIVE``) or did not (``Act.MISS``); either may be mended.

    Raises:
        NotFound: no such appointment.
        TooEarly: its time has not come.
        Ended: it was cancelled.

    """
    if act not in (Act.ARRIVE, Act.MISS):
        raise ValueError(act)
    appointment, held = _locked(session, appointment_id)
    before = appointment.state
    found = _after(appointment, act, at=at)
    if found is Refused.NOT_NOW:
        raise TooEarly(f"appointment {appointment_id}")
    if isinstance(found, Refused):
        raise Ended(f"appointment {appointment_id}")
    if found is not before:
        appointment.state = found
        if held is not None and held.state is not RequestState.DONE:
            service.finish(held, Outcome.APPOINTED, at=at)
        note_act(session, f"appointment.{found.value}", appointment, actor_id=staff_id, at=at)
    session.flush()
    return appointment


def find(session: Session, appointment_id: int) -> Appointment:
    """Return the appointment. Raises NotFound."""
    found = session.get(Appointment, appointment_id)
    if found is None:
        raise NotFound(f"appointment {appointment_id}")
    return found


def _after(appointment: Appointment, act: Act, *, at: datetime) -> AppointmentState | Refused:
    if appointment.starts_at is None:
        return Refused.NOT_NOW
    return after(act, appointment.state, starts_at=appointment.starts_at, at=at)


def _follow(held: Request | None, act: Act, *, at: datetime) -> None:
    """Let the request follow the patient's answer."""
    if held is None:
        return
    if act is Act.MOVE:
        service.reopen(held)
    elif held.state is not RequestState.DONE:
        service.finish(held, Outcome.APPOINTED, at=at)


def must_hold(held: Request, staff_id: int) -> None:
    """Let only its claimer act on an open request. Afterwards any receptionist may.

    A visit must be movable when whoever arranged it is not at work.
    """
    mine = held.state is RequestState.CLAIMED and held.claimed_by == staff_id
    appointed = held.state is RequestState.DONE and held.outcome == Outcome.APPOINTED
    if not (mine or appointed):
        raise service.NotHeld(f"request {held.id}")


def _locked(session: Session, appointment_id: int) -> tuple[Appointment, Request | None]:
    request_id = find(session, appointment_id).request_id
    held = service.lock(session, request_id) if request_id is not None else None
    appointment = session.get_one(
        Appointment, appointment_id, with_for_update=True, populate_existing=True
    )
    return appointment, held


def note_act(
    session: Session, act: str, appointment: Appointment, *, actor_id: int | None, at: datetime
) -> None:
    """Write an act into the audit log; ``actor_id`` is None where the patient acted."""
    note(
        session,
        act,
        at=at,
        actor_id=actor_id,
        subject="appointment",
        subject_id=appointment.id,
        contact_id=appointment.contact_id,
        revision=appointment.revision,
    )
