"""The contact list: a page of people with what they allow, in a constant number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_
from sqlalchemy.orm import Session

from crm.consent.rules import Channel, Purpose
from crm.contacts import search
from crm.contacts.models import Address, Contact, Kind
from crm.desk import verdicts
from crm.desk.states import Consented, best


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A line of the list."""

    contact: Contact
    emails: Sequence[Address]
    phones: Sequence[Address]
    states: dict[Channel, Consented]
    """What they allow of advertising, for each channel that there is an address for."""

    @property
    def grouped(self) -> list[tuple[Consented, list[Channel]]]:
        """Return the channels by what they come to, so that a line says each word once."""
        found: dict[Consented, list[Channel]] = {}
        for channel, state in self.states.items():
            found.setdefault(state, []).append(channel)
        return list(found.items())


def condition(
    typed: str, state: Consented | None, *, reach: search.Reach, at: datetime
) -> ColumnElement[bool]:
    """Return whom the list shows."""
    found = search.matching(typed, reach=reach)
    return found if state is None else and_(found, verdicts.in_state(state, at=at))


def with_states(
    session: Session, contacts: Sequence[Contact], *, keys: tuple[str, ...], at: datetime
) -> list[Person]:
    """Return these people as lines of the list."""
    addresses = search.addresses_of(session, [contact.id for contact in contacts])
    every = {one.id: one for owned in addresses.values() for one in owned}
    found = verdicts.of_addresses(session, every.values(), keys=keys, at=at)
    return [_person(contact, addresses[contact.id], found) for contact in contacts]


def _person(
    contact: Contact, owned: Sequence[Address], found: dict[int, list[verdicts.Verdict]]
) -> Person:
    by_channel: dict[Channel, list[Consented]] = {}
    for address in owned:
        for verdict in found[address.id]:
            if verdict.purpose is Purpose.MARKETING:
                by_channel.setdefault(verdict.channel, []).append(verdict.state)
    return Person(
        contact=contact,
        emails=[address for address in owned if address.kind is Kind.EMAIL],
        phones=[address for address in owned if address.kind is Kind.PHONE],
        states={c: best(by_channel[c]) for c in Channel if c in by_channel},
    )
