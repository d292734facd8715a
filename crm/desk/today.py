"""What waits for whom today."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.orm import Session

from crm.appointments.models import Appointment, AppointmentState, Request, RequestState
from crm.campaigns.models import Campaign
from crm.clinic.models import Clinic
from crm.clinic.service import missing
from crm.consent.models import AddressStanding
from crm.consent.rules import Purpose
from crm.contacts.models import Contact
from crm.delivery.models import Mailing
from crm.delivery.states import MailingState
from crm.intake.models import Form

SOON = timedelta(days=7)
MOST = 8
"""Lines of what is coming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts of what waits, all taken in one statement."""

    waiting: int
    """Requests nobody has taken."""
    taken: int
    """Requests that a receptionist has in hand."""
    unanswered: int
    """Appointments proposed, the patient has not answered."""
    to_move: int
    running: int
    halted: int
    """Campaigns paused, held or overdue: a person decides."""
    refused_today: int
    """Addresses that refused advertising or withdrew since midnight in the clinic."""
    contacts: int
    forms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An appointment that is coming."""

    id: int
    starts_at: datetime
    place: str
    state: AppointmentState
    contact_id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A campaign that runs or will run."""

    id: int
    name: str
    state: MailingState
    due_at: datetime
    planned: int | None


def figures(session: Session, *, midnight: datetime) -> Figures:
    """Return the counts. ``midnight`` began the day where the clinic is."""
    standing = AddressStanding
    counts = {
        "waiting": _count(Request, Request.state == RequestState.WAITING),
        "taken": _count(Request, Request.state == RequestState.CLAIMED),
        "unanswered": _count(Appointment, Appointment.state == AppointmentState.PROPOSED),
        "to_move": _count(Appointment, Appointment.state == AppointmentState.MOVE_REQUESTED),
        "running": _campaigns(MailingState.RUNNING),
        "halted": _campaigns(MailingState.PAUSED, MailingState.HELD, MailingState.OVERDUE),
        "refused_today": select(func.count(standing.address_id.distinct())).where(
            standing.purpose == Purpose.MARKETING,
            func.greatest(
                standing.opted_out_at,
                standing.withdrawn_at,
                standing.stop_demanded_at,
                standing.complained_at,
            )
            >= midnight,
        ),
        "contacts": _some(Contact, Contact.destroyed_at.is_(None)),
        "forms": _some(Form, Form.active.is_(True)),
    }
    row = session.execute(
        select(*(query.scalar_subquery().label(name) for name, query in counts.items()))
    ).one()
    return Figures(**row._mapping)


def visits(session: Session, *, at: datetime) -> Sequence[Visit]:
    """Return the next appointments, soonest first."""
    rows = session.execute(
        select(Appointment, Contact)
        .join(Contact, Contact.id == Appointment.contact_id)
        .where(
            Appointment.starts_at >= at,
            Appointment.starts_at < at + SOON,
            Appointment.state.in_([AppointmentState.PROPOSED, AppointmentState.CONFIRMED]),
        )
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(MOST)
    )
    return [
        Visit(
            id=one.id,
            starts_at=one.starts_at,
            place=one.place,
            state=one.state,
            contact_id=contact.id,
            name=contact.full_name,
        )
        for one, contact in rows
        if one.starts_at is not None
    ]


def sendings(session: Session) -> Sequence[Sending]:
    """Return the campaigns that run, wait for their time or for a person; soonest first."""
    ended = [MailingState.STOPPED, MailingState.FINISHED]
    rows = session.execute(
        select(Campaign.id, Campaign.name, Mailing.state, Mailing.due_at, Mailing.planned)
        .join(Mailing, Mailing.id == Campaign.mailing_id)
        .where(Mailing.state.not_in(ended))
        .order_by(Mailing.due_at, Campaign.id)
        .limit(MOST)
    )
    return [
        Sending(id=id_, name=name, state=state, due_at=due_at, planned=planned)
        for id_, name, state, due_at, planned in rows
    ]


def to_do(clinic: Clinic, counted: Figures) -> list[tuple[str, bool]]:
    """Return the first steps of a new clinic and which are done; empty once all of them are."""
    steps = [
        ("clinic", not missing(clinic)),
        ("forms", counted.forms > 0),
        ("contacts", counted.contacts > 0),
    ]
    return [] if all(done for _name, done in steps) else steps


def midnight(zone: str, *, at: datetime) -> datetime:
    """Return when this day began in the clinic's zone.

    >>> from datetime import UTC
    >>> midnight("Europe/Moscow", at=datetime(2027, 3, 1, 22, tzinfo=UTC)).isoformat()
    '2027-03-02T00:00:00+03:00'
    """
    return at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)


def _count(model: type[Request] | type[Appointment], where: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(model).where(where)


def _some(model: type[Contact] | type[Form], where: ColumnElement[bool]) -> Select[int]:
    """Count to one: enough to know whether there is any."""
    first = select(literal(1)).select_from(model).where(where).limit(1).subquery()
    return select(func.count()).select_from(first)


def _campaigns(*states: MailingState) -> Select[int]:
    return (
        select(func.count())
        .select_from(Campaign)
        .join(Mailing, Mailing.id == Campaign.mailing_id)
        .where(Mailing.state.in_(states))
    )
