"""The card of one person: addresses, what each allows and on what that rests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.consent.models import ConsentEvent, ConsentText
from crm.consent.rules import Purpose
from crm.contacts import search
from crm.contacts.models import Address, Contact
from crm.desk import verdicts
from crm.desk.states import Consented
from crm.desk.verdicts import Verdict
from crm.errors import NotFound
from crm.staff.models import Staff


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a verdict rests on: the event that decided, and the text that was shown."""

    source: str
    text_id: int | None
    title: str | None
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachable:
    """An address of the person."""

    address: Address
    verdicts: Sequence[Verdict]
    others: Sequence[Contact]
    """Who else is behind it: what one of them says stands for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    contact: Contact
    reachable: Sequence[Reachable]
    grounds: dict[int, Ground]
    """By the id of the ledger's event."""
    added_by: str | None

    @property
    def stoppable(self) -> bool:
        """Return whether there is anything that a refusal would change."""
        stopped = {Consented.REFUSED, Consented.BLOCKED}
        return any(
            verdict.purpose is Purpose.MARKETING and verdict.state not in stopped
            for one in self.reachable
            for verdict in one.verdicts
        )


def read(session: Session, contact_id: int, *, keys: tuple[str, ...], at: datetime) -> Card:
    """Return the card, in a constant number of queries. Raises NotFound."""
    contact = session.get(Contact, contact_id)
    if contact is None:
        raise NotFound(f"contact {contact_id}")
    if contact.destroyed_at is not None:
        return Card(contact=contact, reachable=(), grounds={}, added_by=None)
    addresses = search.addresses_of(session, [contact.id])[contact.id]
    found = verdicts.of_addresses(session, addresses, keys=keys, at=at)
    others = search.sharers(session, found, but=contact.id)
    return Card(
        contact=contact,
        reachable=[
            Reachable(
                address=address,
                verdicts=found[address.id],
                others=others.get(address.id, ()),
            )
            for address in sorted(addresses, key=attrgetter("kind"))
        ],
        grounds=_grounds(session, [one for row in found.values() for one in row]),
        added_by=_name(session, contact.created_by),
    )


def deciding(verdict: Verdict) -> int | None:
    """Return the ledger's event that decided: the consent that allows, or the stop."""
    return verdict.grant_event_id if verdict.reason is None else verdict.stop_event_id


def _grounds(session: Session, found: Sequence[Verdict]) -> dict[int, Ground]:
    wanted = {deciding(verdict) for verdict in found} - {None}
    rows = session.execute(
        select(
            ConsentEvent.id,
            ConsentEvent.source,
            ConsentText.id,
            ConsentText.title,
            ConsentText.version,
        )
        .outerjoin(ConsentText, ConsentText.id == ConsentEvent.text_id)
        .where(ConsentEvent.id.in_(wanted))
    )
    return {
        event_id: Ground(source=source, text_id=text_id, title=title, version=version)
        for event_id, source, text_id, title, version in rows
    }


def _name(session: Session, staff_id: int | None) -> str | None:
    if staff_id is None:
        return None
    return session.scalar(select(Staff.name).where(Staff.id == staff_id))
