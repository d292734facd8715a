"""What a link in a letter does: stop promotion, or confirm the wish for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.service import note, noting
from crm.clinic.service import details
from crm.consent import service as consent
from crm.consent.ledger import Held, Origin, add, hold, standing_of
from crm.consent.models import AddressStanding, ConsentEvent, ConsentText
from crm.consent.rules import Act, Channel, Purpose, Standing
from crm.contacts.models import Address, Kind
from crm.delivery.service import last_accepted, pending_at
from crm.errors import InvalidToken, NotFound
from crm.straight import locally, straight

STATEMENT_MS: Final = 400
LOCK_MS: Final = 250
"""Together with the barrier's 1.5 s a person hears within 2 s what became of the click."""
_HURRY: Final = locally(statement_timeout=STATEMENT_MS, lock_timeout=LOCK_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What a person may want to know after a stop."""

    cancelled: int
    """Letters that were planned and will not go."""
    last_at: datetime | None
    """When the last promotional letter left us, which may still be on its way."""


def hurry(session: Session) -> None:
    """Let this transaction fail rather than keep a person waiting."""
    straight(session, _HURRY)


def address_behind(session: Session, address_id: int) -> Address:
    """Return the address a link was made for. Raises InvalidToken."""
    address = session.get(Address, address_id)
    if address is None:
        raise InvalidToken(f"address {address_id}")
    return address


def has_stopped(session: Session, address: Address) -> bool:
    """Return whether promotion was refused and nothing was said since."""
    return _refused_last(standing_of(session.get(AddressStanding, _key(address))))


def stop_promotion(
    session: Session,
    address_id: int,
    origin: Origin,
    *,
    keys: tuple[str, ...],
    at: datetime,
) -> ConsentEvent | None:
    """Record that the reader of a letter wants no more promotion; None if that is so already.

    Written in a hurry, not committed; after the caller's commit comes ``gate.barrier``. A stop is
    never dated before what it stops: the clocks of two servers may differ, and a confirmation made
    under the faster one must not outlive the stop. Raises InvalidToken.
    """
    held = _held(session, address_id)
    known = held.standing
    if _refused_last(known):
        return None
    at = max(when for when in (at, known.asked_at, known.confirmed_at) if when is not None)
    written = noting(
        "recipient.opted_out",
        at=at,
        actor_id=None,
        subject="address",
        subject_id=address_id,
        source=origin.source,
    )
    try:
        return add(session, held, Act.OPTED_OUT, origin, keys=keys, at=at, also=[written])
    except NotFound:
        return None  # destroyed, and never in the ledger: there is nothing left to stop


def _held(session: Session, address_id: int) -> Held:
    try:
        return hold(session, address_id, Purpose.MARKETING, first=[_HURRY])
    except NotFound as error:
        raise InvalidToken(f"address {address_id}") from error


def aftermath(session: Session, address_id: int) -> Aftermath:
    """Return what was cancelled by a stop, and when the last letter left."""
    return Aftermath(
        cancelled=pending_at(session, address_id), last_at=last_accepted(session, address_id)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the reader of a double opt-in letter is asked to confirm."""

    asked: ConsentEvent
    address: Address
    text: ConsentText
    is_confirmed: bool


def wish(session: Session, asked_event_id: int, *, at: datetime) -> Wish:
    """Return what a link confirms. Raises InvalidToken where it confirms nothing any more."""
    asked = consent.still_asked(session, asked_event_id, at=at)
    address = address_behind(session, asked.address_id)
    shown = session.scalar(select(ConsentText).where(ConsentText.id == asked.text_id))
    if address.value is None or shown is None:
        raise InvalidToken(f"event {asked_event_id}")
    confirmed_at = standing_of(session.get(AddressStanding, _key(address))).confirmed_at
    return Wish(
        asked=asked,
        address=address,
        text=shown,
        is_confirmed=confirmed_at is not None and confirmed_at >= asked.at,
    )


def confirm(
    session: Session,
    asked_event_id: int,
    *,
    evidence: dict[str, str],
    keys: tuple[str, ...],
    at: datetime,
) -> Wish:
    """Record that the addressee confirmed from the mailbox itself; twice is once.

    Raises:
        InvalidToken: the link is out of date, or a refusal came after it was asked for.

    """
    found = wish(session, asked_event_id, at=at)
    if found.is_confirmed:
        return found
    months = details(session).consent_months
    origin = Origin(source="link", evidence=evidence)
    consent.confirm(session, asked_event_id, origin, keys=keys, months=months, at=at)
    note(
        session,
        "recipient.confirmed",
        at=at,
        actor_id=None,
        subject="address",
        subject_id=found.address.id,
        asked_event_id=asked_event_id,
    )
    session.flush()
    return found


def _key(address: Address) -> tuple[int, Purpose, Channel]:
    channel = Channel.EMAIL if address.kind is Kind.EMAIL else Channel.SMS
    return (address.id, Purpose.MARKETING, channel)


def _refused_last(known: Standing) -> bool:
    said = [when for when in (known.asked_at, known.confirmed_at) if when is not None]
    refused_at = known.opted_out_at
    return refused_at is not None and all(when <= refused_at for when in said)
