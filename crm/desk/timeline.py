"""What has happened with a person, newest first: consent, letters, requests, visits, edits."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from crm.appointments.models import Appointment, Request
from crm.audit.models import AuditEvent
from crm.campaigns.models import Campaign
from crm.consent.models import ConsentEvent
from crm.consent.rules import Purpose
from crm.contacts.models import Address
from crm.delivery.models import Delivery, Mailing, Outcome, Retry
from crm.delivery.service import is_in_a_window
from crm.desk.words import EDITS
from crm.staff.models import Staff

LENGTH: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MARK: Final = re.compile(r"(\d{1,17})-([a-z]{1,12})-(\d{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Where in the timeline the reader is: the last moment seen."""

    at: datetime
    kind: str
    id: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.kind}-{self.id}"


@dataclass(slots=True, kw_only=True)
class Timeline:
    """A page of moments and what they are about, ready to be put into words."""

    moments: Sequence[Mark]
    rest: Mark | None
    """From where the next page goes on; None at the end."""
    facts: dict[tuple[str, int], Any] = field(default_factory=dict)
    """By kind and id: ConsentEvent, Request, Appointment, AuditEvent, or a letter's row."""
    addresses: dict[int, Address] = field(default_factory=dict)
    staff: dict[int, str] = field(default_factory=dict)


def read_mark(typed: str) -> Mark | None:
    """Return the mark that was written into an address; nonsense means the beginning."""
    found = _MARK.fullmatch(typed)
    if found is None:
        return None
    try:
        at = _EPOCH + timedelta(microseconds=int(found[1]))
    except OverflowError:
        return None
    return Mark(at=at, kind=found[2], id=int(found[3]))


def page(
    session: Session,
    contact_id: int,
    addresses: Iterable[Address],
    *,
    kinds: Iterable[str],
    after: Mark | None,
) -> Timeline:
    """Return up to LENGTH moments older than ``after``, of these kinds of ``KINDS``."""
    address_ids = [address.id for address in addresses]
    found = _moments(session, contact_id, address_ids, kinds=kinds, after=after)
    more = len(found) > LENGTH
    line = Timeline(moments=found[:LENGTH], rest=found[LENGTH - 1] if more else None)
    for kind, load in _LOADERS.items():
        ids = [moment.id for moment in line.moments if moment.kind == kind]
        if ids:
            line.facts |= {(kind, row.id): row for row in load(session, ids)}
    _name(session, line)
    return line


def _moments(
    session: Session,
    contact_id: int,
    address_ids: list[int],
    *,
    kinds: Iterable[str],
    after: Mark | None,
) -> list[Mark]:
    pieces = [KINDS[kind](contact_id, address_ids) for kind in kinds]
    every = union_all(*pieces).subquery()
    place = tuple_(every.c.at, every.c.kind, every.c.id)
    query = select(every.c.at, every.c.kind, every.c.id).order_by(
        every.c.at.desc(), every.c.kind.desc(), every.c.id.desc()
    )
    if after is not None:
        query = query.where(place < tuple_(literal(after.at), literal(after.kind), after.id))
    rows = session.execute(query.limit(LENGTH + 1))
    return [Mark(at=at.astimezone(UTC), kind=kind, id=id_) for at, kind, id_ in rows]


def _piece(kind: str, id_: Any, at: Any, where: ColumnElement[bool]) -> Select[Any]:
    moment = cast(at, DateTime(timezone=True)).label("at")
    return select(literal(kind).label("kind"), id_.label("id"), moment).where(where)


def _consent(contact_id: int, address_ids: list[int]) -> Select[Any]:
    whose = or_(ConsentEvent.contact_id == contact_id, ConsentEvent.address_id.in_(address_ids))
    return _piece("consent", ConsentEvent.id, ConsentEvent.at, whose)


def _letters(contact_id: int, address_ids: list[int]) -> Select[Any]:
    at = func.coalesce(Outcome.at, Mailing.launched_at, Mailing.created_at)
    shared = and_(Delivery.address_id.in_(address_ids), Mailing.purpose == Purpose.MARKETING)
    whose = or_(Delivery.contact_id == contact_id, shared)
    return (
        _piece("letter", Delivery.id, at, whose)
        .select_from(Delivery)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .outerjoin(Outcome, Outcome.delivery_id == Delivery.id)
    )


def _requests(contact_id: int, _addresses: list[int]) -> Select[Any]:
    return _piece("request", Request.id, Request.received_at, Request.contact_id == contact_id)


def _visits(contact_id: int, _addresses: list[int]) -> Select[Any]:
    at = func.coalesce(Appointment.answered_at, Appointment.proposed_at, Appointment.created_at)
    return _piece("visit", Appointment.id, at, Appointment.contact_id == contact_id)


def _edits(contact_id: int, _addresses: list[int]) -> Select[Any]:
    whose = and_(
        AuditEvent.subject == "contact",
        AuditEvent.subject_id == contact_id,
        AuditEvent.act.in_(EDITS),
    )
    return _piece("edit", AuditEvent.id, AuditEvent.at, whose)


KINDS = {
    "consent": _consent,
    "letter": _letters,
    "request": _requests,
    "visit": _visits,
    "edit": _edits,
}
WITHOUT_VISITS = ("consent", "letter", "edit")
"""For whoever has no business in why people come (SEC-02)."""


def _load_letters(session: Session, ids: list[int]) -> Sequence[Any]:
    waiting = select(Retry.delivery_id).where(Retry.delivery_id == Delivery.id).exists()
    return session.execute(
        select(
            Delivery.id,
            Delivery.address_id,
            Mailing.purpose,
            Outcome.state,
            Outcome.reason,
            Outcome.reply,
            and_(is_in_a_window(), ~waiting).label("sending"),
            Campaign.id.label("campaign_id"),
            Campaign.name,
        )
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .outerjoin(Outcome, Outcome.delivery_id == Delivery.id)
        .outerjoin(Campaign, Campaign.mailing_id == func.coalesce(Mailing.resends_id, Mailing.id))
        .where(Delivery.id.in_(ids))
    ).all()


_LOADERS: dict[str, Callable[[Session, list[int]], Iterable[Any]]] = {
    "consent": lambda s, ids: s.scalars(select(ConsentEvent).where(ConsentEvent.id.in_(ids))),
    "letter": _load_letters,
    "request": lambda s, ids: s.scalars(select(Request).where(Request.id.in_(ids))),
    "visit": lambda s, ids: s.scalars(select(Appointment).where(Appointment.id.in_(ids))),
    "edit": lambda s, ids: s.scalars(select(AuditEvent).where(AuditEvent.id.in_(ids))),
}


def _name(session: Session, line: Timeline) -> None:
    facts = line.facts.values()
    address_ids = {getattr(fact, "address_id", None) for fact in facts} - {None}
    staff_ids = {getattr(fact, "actor_id", None) for fact in facts} - {None}
    if address_ids:
        found = session.scalars(select(Address).where(Address.id.in_(address_ids)))
        line.addresses = {address.id: address for address in found}
    if staff_ids:
        people = session.scalars(select(Staff).where(Staff.id.in_(staff_ids)))
        line.staff = {person.id: person.name for person in people}
