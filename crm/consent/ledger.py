"""Adding facts to the ledger, and keeping the standing and the stop list in step with it.

Event, payload, standing and stop list change in one transaction, under the lock of the standing's
row: so the ids of one standing's events are in the order in which they happened.
"""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.consent.models import AddressStanding, ConsentEvent, ConsentPayload, Suppression
from crm.consent.rules import Act, Channel, Purpose, Reason, Standing, fold
from crm.consent.tokens import key_id, suppression_token, suppression_tokens
from crm.contacts.models import Address
from crm.errors import NotFound

STOPPING = {
    Act.OPTED_OUT: Reason.OPTED_OUT,
    Act.STOP_DEMANDED: Reason.STOP_DEMANDED,
    Act.WITHDRAWN: Reason.WITHDRAWN,
    Act.COMPLAINED: Reason.COMPLAINED,
    Act.BOUNCED: Reason.BOUNCED,
}
"""Acts that also enter the stop list, so that they outlive the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What a fact is about."""

    address_id: int
    purpose: Purpose
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a fact came from. ``evidence`` is kept in the payload, the rest in the ledger."""

    source: str
    contact_id: int | None = None
    actor_id: int | None = None
    text_id: int | None = None
    delivery_id: int | None = None
    evidence: dict[str, Any] | None = None


def record(
    session: Session,
    act: Act,
    matter: Matter,
    origin: Origin,
    *,
    keys: tuple[str, ...],
    at: datetime,
    expires_at: datetime | None = None,
) -> ConsentEvent:
    """Add one fact and bring the standing up to date. Recording the same fact twice is harmless.

    Args:
        session: flushed, not committed; the caller's commit is the promise.
        act: what happened.
        matter: to which address, for which purpose, on which channel.
        origin: how we know.
        keys: the suppression keys, newest first.
        at: when it happened.
        expires_at: for a confirmation, the end of the term of the text that was shown.

    Raises:
        NotFound: there is no such address.

    """
    address = session.get(Address, matter.address_id)
    if address is None:
        raise NotFound(f"address {matter.address_id}")
    row = _locked(session, matter)
    salt = secrets.token_bytes(16)
    event = ConsentEvent(
        at=at,
        act=act,
        purpose=matter.purpose,
        channel=matter.channel,
        address_id=address.id,
        token=_token(session, address, keys=keys),
        contact_id=origin.contact_id,
        text_id=origin.text_id,
        source=origin.source,
        actor_id=origin.actor_id,
        delivery_id=origin.delivery_id,
        expires_at=expires_at,
        payload_digest=digest(salt, origin.evidence) if origin.evidence else None,
    )
    session.add(event)
    session.flush()
    if origin.evidence:
        session.add(ConsentPayload(event_id=event.id, salt=salt, evidence=origin.evidence))
    _advance(row, event)
    if act in STOPPING and _stands(row, at):
        _suppress(session, event, address, key=keys[0])
    if act is Act.CONFIRMED:
        _lift(session, event, address, keys=keys)
    session.flush()
    return event


def digest(salt: bytes, evidence: dict[str, Any]) -> bytes:
    """Return what ties a payload to its event without telling anything of it."""
    canonical = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(salt + canonical.encode()).digest()


def standing_of(row: AddressStanding | None) -> Standing:
    """Return the pure value of a standing's row."""
    if row is None:
        return Standing()
    return Standing(**{name: getattr(row, name) for name in Standing._fields})


def _locked(session: Session, matter: Matter) -> AddressStanding:
    key = asdict(matter)
    session.execute(insert(AddressStanding).values(**key).on_conflict_do_nothing())
    return session.scalars(
        select(AddressStanding)
        .filter_by(**key)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _advance(row: AddressStanding, event: ConsentEvent) -> None:
    before = standing_of(row)
    after = fold(before, event.act, at=event.at, expires_at=event.expires_at)
    for name in Standing._fields:
        setattr(row, name, getattr(after, name))
    if after == before:
        return
    if event.act is Act.CONFIRMED:
        row.grant_event_id = event.id
    elif event.act is not Act.ASKED:
        row.stop_event_id = event.id


def _stands(row: AddressStanding, stop_at: datetime) -> bool:
    """Return whether a stop is the last word: one dated before a confirmation is not."""
    return row.confirmed_at is None or stop_at >= row.confirmed_at


def _token(session: Session, address: Address, *, keys: tuple[str, ...]) -> bytes:
    if address.value is not None:
        return suppression_token(address.kind, address.value, key=keys[0])
    last = session.scalar(
        select(ConsentEvent.token)
        .where(ConsentEvent.address_id == address.id)
        .order_by(ConsentEvent.id.desc())
        .limit(1)
    )
    if last is None:
        raise NotFound(f"address {address.id} was destroyed without a trace in the ledger")
    return last


def _suppress(session: Session, event: ConsentEvent, address: Address, *, key: str) -> None:
    entry = {
        "kind": address.kind,
        "key_id": key_id(key),
        "reason": STOPPING[event.act],
        "at": event.at,
        "event_id": event.id,
        "lifted_at": None,
        "lifted_by": None,
    }
    session.execute(
        insert(Suppression)
        .values(token=event.token, purpose=event.purpose, **entry)
        .on_conflict_do_update(
            index_elements=["token", "purpose"],
            set_=entry,
            where=or_(Suppression.lifted_at.is_not(None), Suppression.at < event.at),
        )
    )


def _lift(
    session: Session, event: ConsentEvent, address: Address, *, keys: tuple[str, ...]
) -> None:
    if address.value is None:
        return
    tokens = suppression_tokens(address.kind, address.value, keys=keys)
    session.execute(
        update(Suppression)
        .where(
            Suppression.token.in_(tokens),
            Suppression.purpose == event.purpose,
            Suppression.lifted_at.is_(None),
            Suppression.at < event.at,
        )
        .values(lifted_at=event.at, lifted_by=event.id)
    )
