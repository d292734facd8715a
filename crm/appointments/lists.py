"""What reception looks at: the queue, one request, the appointments to come. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, case, func, select
from sqlalchemy.orm import Session, aliased

from crm.appointments.models import Appointment, AppointmentState, Request, RequestState
from crm.appointments.rules import OFFERED, OPEN
from crm.contacts.models import Address, Contact
from crm.delivery.models import Delivery, Outcome, Retry
from crm.delivery.service import is_in_a_window
from crm.delivery.states import DeliveryState
from crm.staff.models import Staff

MOST = 100
"""Rows of a list. The oldest come first, so what is cut off is what waits least."""


class Tab(StrEnum):
    WAITING = "waiting"
    """Every open request, also those in a colleague's hands: nobody asks twice who has it."""
    MINE = "mine"
    OFFERED = "offered"
    """Appointments whose time lies with the patient."""
    UPCOMING = "upcoming"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows each tab has; waiting counts only what nobody has taken."""

    waiting: int
    mine: int
    offered: int
    upcoming: int


_email, _phone = aliased(Address), aliased(Address)


def waiting(session: Session) -> int:
    """Return how many requests nobody has taken yet: the number in the menu."""
    return session.scalar(_counting(Request.state == RequestState.WAITING)) or 0


def counts(session: Session, *, staff_id: int, at: datetime) -> Counts:
    """Return the numbers on the tabs."""
    return Counts(
        waiting=waiting(session),
        mine=session.scalar(_counting(*_of(Tab.MINE, staff_id))) or 0,
        offered=session.scalar(_counting_visits(Tab.OFFERED, at)) or 0,
        upcoming=session.scalar(_counting_visits(Tab.UPCOMING, at)) or 0,
    )


def requests(session: Session, tab: Tab, *, staff_id: int) -> Sequence[Row[Any]]:
    """Return open requests with person, addresses, holder and appointment, at most MOST.

    Whoever asked for another time comes first, then the oldest.
    """
    moved = Appointment.state == AppointmentState.MOVE_REQUESTED
    return session.execute(
        _request_rows()
        .where(*_of(tab, staff_id))
        .order_by(case((moved, 0), else_=1), Request.received_at, Request.id)
        .limit(MOST)
    ).all()


def one(session: Session, request_id: int) -> Row[Any] | None:
    """Return one request as ``requests`` does, open or closed."""
    return session.execute(_request_rows().where(Request.id == request_id)).one_or_none()


def visits(session: Session, tab: Tab, *, at: datetime) -> Sequence[Row[Any]]:
    """Return the appointments to come, soonest first, at most MOST."""
    return session.execute(
        _visit_rows().where(*_of_visits(tab, at)).order_by(Appointment.starts_at).limit(MOST)
    ).all()


def visits_on(session: Session, day: date, *, zone: ZoneInfo) -> Sequence[Row[Any]]:
    """Return all the appointments of a day of the clinic's calendar, in their order.

    A day is as long as it is there: 23 or 25 hours when the clocks change.
    """
    begins = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    ends = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
    return session.execute(
        _visit_rows()
        .where(Appointment.starts_at >= begins, Appointment.starts_at < ends)
        .order_by(Appointment.starts_at, Appointment.id)
    ).all()


def letter_state(session: Session, delivery_id: int) -> DeliveryState:
    """Return what has become of one letter."""
    known = session.scalar(select(Outcome.state).where(Outcome.delivery_id == delivery_id))
    if known is not None:
        return known
    again = session.scalar(select(Retry.delivery_id).where(Retry.delivery_id == delivery_id))
    in_hand = session.scalar(
        select(is_in_a_window()).select_from(Delivery).where(Delivery.id == delivery_id)
    )
    return DeliveryState.SENDING if in_hand and not again else DeliveryState.QUEUED


def _request_rows() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Request,
            Contact,
            _email.display.label("email"),
            _phone.display.label("phone"),
            _phone.value.label("phone_number"),
            Staff.name.label("holder"),
            Appointment,
        )
        .join(Contact, Contact.id == Request.contact_id)
        .outerjoin(_email, _email.id == Request.email_id)
        .outerjoin(_phone, _phone.id == Request.phone_id)
        .outerjoin(Staff, Staff.id == Request.claimed_by)
        .outerjoin(Appointment, Appointment.request_id == Request.id)
    )


def _visit_rows() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Appointment,
            Contact,
            _phone.display.label("phone"),
            _phone.value.label("phone_number"),
            Outcome.state.label("letter"),
        )
        .join(Contact, Contact.id == Appointment.contact_id)
        .outerjoin(Request, Request.id == Appointment.request_id)
        .outerjoin(_phone, _phone.id == Request.phone_id)
        .outerjoin(Delivery, Delivery.id == Appointment.delivery_id)
        .outerjoin(Outcome, Outcome.delivery_id == Delivery.id)
    )


def _of(tab: Tab, staff_id: int) -> list[ColumnElement[bool]]:
    if tab is Tab.MINE:
        return [Request.state == RequestState.CLAIMED, Request.claimed_by == staff_id]
    # The index of open requests is partial: say it in its words.
    return [Request.state != RequestState.DONE]


def _of_visits(tab: Tab, at: datetime) -> list[ColumnElement[bool]]:
    states = OFFERED if tab is Tab.OFFERED else OPEN
    return [Appointment.state.in_(states), Appointment.starts_at > at]


def _counting(*where: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(Request).where(*where)


def _counting_visits(tab: Tab, at: datetime) -> Select[int]:
    return select(func.count()).select_from(Appointment).where(*_of_visits(tab, at))
