"""Somebody says "no more advertising" to a member of staff: record it, and say what follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.consent.ledger import Matter, Origin, record
from crm.consent.models import ConsentEvent
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.service import stop
from crm.contacts.models import Address, ContactAddress, Kind
from crm.delivery.service import last_accepted, pending_at
from crm.errors import Invalid, later


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What is still under way to the addresses after the stop."""

    planned: int
    """Letters that will now be withheld."""
    last_at: datetime | None
    """When the last promotional letter left: one that left just before may still arrive."""


_NOWHERE = later("There is no address of this person to stop.")


def addresses_to_stop(
    session: Session, contact_id: int, address_id: int | None
) -> Sequence[Address]:
    """Return the person's addresses, or the one named.

    Raises:
        Invalid: the person has none, or not that one.

    """
    query = (
        select(Address)
        .join(ContactAddress, ContactAddress.address_id == Address.id)
        .where(ContactAddress.contact_id == contact_id, Address.value.is_not(None))
        .order_by(Address.id)
    )
    if address_id is not None:
        query = query.where(Address.id == address_id)
    found = session.scalars(query).all()
    if not found:
        raise Invalid(f"contact {contact_id} has nothing to stop", say=_NOWHERE)
    return found


def refuse_advertising(
    session: Session,
    contact_id: int,
    addresses: Sequence[Address],
    *,
    source: str,
    actor_id: int,
    keys: tuple[str, ...],
    at: datetime,
) -> list[ConsentEvent]:
    """Record the refusal for each address, and return it: e-mail, or SMS and calls (OPT-08).

    Who shares an address is stopped with it. After the caller's commit comes ``gate.barrier``:
    only then may anybody be told "done".
    """
    origin = Origin(source=source, contact_id=contact_id, actor_id=actor_id)
    stops: list[ConsentEvent] = []
    for address in addresses:
        stops.append(stop(session, Act.OPTED_OUT, address.id, origin, keys=keys, at=at))
        if address.kind is Kind.PHONE:
            calls = Matter(address_id=address.id, purpose=Purpose.MARKETING, channel=Channel.PHONE)
            stops.append(record(session, Act.OPTED_OUT, calls, origin, keys=keys, at=at))
    note(
        session,
        "contact.opted_out",
        at=at,
        actor_id=actor_id,
        subject="contact",
        subject_id=contact_id,
        source=source,
        addresses=len(addresses),
    )
    session.flush()
    return stops


def aftermath(session: Session, address_ids: Sequence[int]) -> Aftermath:
    """Return what was planned, and when the last letter left. Ask after the barrier."""
    moments = [last_accepted(session, address_id) for address_id in address_ids]
    return Aftermath(
        planned=sum(pending_at(session, address_id) for address_id in address_ids),
        last_at=max((at for at in moments if at is not None), default=None),
    )
