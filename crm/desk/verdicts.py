"""Where many addresses stand at once, in two queries however many there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from crm.consent.ledger import standing_of
from crm.consent.models import AddressStanding, Suppression
from crm.consent.rules import (
    BASIS,
    STOPS,
    Bars,
    Basis,
    Channel,
    Purpose,
    Reason,
    Standing,
    refusal,
)
from crm.consent.service import reason_column
from crm.consent.tokens import suppression_tokens
from crm.contacts.models import Address, Contact, ContactAddress, Kind
from crm.desk.states import OF_REASON, Consented

CHANNELS = {
    Kind.EMAIL: (Channel.EMAIL,),
    Kind.PHONE: (Channel.SMS, Channel.PHONE),
}
_SINCE = {reason: name for name, reason in STOPS} | {
    Reason.UNCONFIRMED: "asked_at",
    Reason.EXPIRED: "expires_at",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether we may write to an address for a purpose on a channel, and why."""

    purpose: Purpose
    channel: Channel
    reason: Reason | None
    """Why not; None if we may."""
    since: datetime | None
    until: datetime | None
    grant_event_id: int | None
    stop_event_id: int | None

    @property
    def state(self) -> Consented:
        """Return the word for it that pages show."""
        if self.reason is not None:
            return OF_REASON[self.reason]
        asks_nobody = BASIS[self.purpose] is Basis.REQUEST
        return Consented.NEEDS_NONE if asks_nobody else Consented.ALLOWED


def of_addresses(
    session: Session, addresses: Iterable[Address], *, keys: tuple[str, ...], at: datetime
) -> dict[int, list[Verdict]]:
    """Return the verdicts of each address, service first. For pages: dispatch looks for itself."""
    known = {address.id: address for address in addresses}
    rows = _standings(session, known)
    listed = _listed(session, known.values(), keys=keys)
    return {
        address.id: [
            _verdict(address, purpose, channel, rows, listed, at=at)
            for purpose in Purpose
            for channel in CHANNELS[address.kind]
        ]
        for address in known.values()
    }


def in_state(state: Consented, *, at: datetime) -> ColumnElement[bool]:
    """Return the condition on Contact: one of their mailboxes stands so for advertising.

    It reads standings only. A mailbox known to nothing but the stop list counts as never asked.
    """
    emails = (
        select(ContactAddress.contact_id)
        .join(Address, Address.id == ContactAddress.address_id)
        .where(Address.kind == Kind.EMAIL)
    )
    if state is Consented.NO_ADDRESS:
        return Contact.id.not_in(emails)
    reason = reason_column(Purpose.MARKETING, at=at)
    wanted = [cause.value for cause, word in OF_REASON.items() if word is state]
    meets = reason.is_(None) if state is Consented.ALLOWED else reason.in_(wanted)
    stands = and_(
        AddressStanding.address_id == Address.id,
        AddressStanding.purpose == Purpose.MARKETING,
        AddressStanding.channel == Channel.EMAIL,
    )
    return Contact.id.in_(emails.outerjoin(AddressStanding, stands).where(meets))


_Key = tuple[int, Purpose, Channel]
_Listed = dict[tuple[int, Purpose], datetime]


def _standings(session: Session, known: dict[int, Address]) -> dict[_Key, AddressStanding]:
    found = session.scalars(select(AddressStanding).where(AddressStanding.address_id.in_(known)))
    return {(row.address_id, row.purpose, row.channel): row for row in found}


def _listed(session: Session, addresses: Iterable[Address], *, keys: tuple[str, ...]) -> _Listed:
    whose = {
        token: address.id
        for address in addresses
        if address.value is not None
        for token in suppression_tokens(address.kind, address.value, keys=keys)
    }
    entries = session.scalars(
        select(Suppression).where(Suppression.token.in_(whose), Suppression.lifted_at.is_(None))
    )
    return {(whose[bytes(entry.token)], entry.purpose): entry.at for entry in entries}


def _verdict(
    address: Address,
    purpose: Purpose,
    channel: Channel,
    rows: dict[_Key, AddressStanding],
    listed: _Listed,
    *,
    at: datetime,
) -> Verdict:
    row = rows.get((address.id, purpose, channel))
    standing = standing_of(row)
    bars = Bars(
        blocked=address.blocked_at is not None,
        destroyed=address.destroyed_at is not None,
        suppressed=(address.id, purpose) in listed,
    )
    reason = refusal(purpose, standing, bars, at=at)
    return Verdict(
        purpose=purpose,
        channel=channel,
        reason=reason,
        since=_since(reason, standing, address, listed.get((address.id, purpose))),
        until=standing.expires_at if reason is None else None,
        grant_event_id=row.grant_event_id if row else None,
        stop_event_id=row.stop_event_id if row else None,
    )


def _since(
    reason: Reason | None, standing: Standing, address: Address, listed_at: datetime | None
) -> datetime | None:
    if reason is None:
        return standing.confirmed_at
    if reason is Reason.EXPIRED and standing.purpose_ended_at is not None:
        return standing.purpose_ended_at
    special = {
        Reason.SUPPRESSED: listed_at,
        Reason.BLOCKED: address.blocked_at,
        Reason.DESTROYED: address.destroyed_at,
    }
    name = _SINCE.get(reason, "")
    return special.get(reason) or getattr(standing, name, None)
