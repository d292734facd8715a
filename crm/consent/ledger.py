"""Adding facts to the ledger, and keeping the standing and the stop list in step with it.

Event, payload, standing and stop list change in one transaction, under the lock of the standing's
row: so the ids of one standing's events are in the order in which they happened. It takes two
breaths, one to take the lock and look, one to write.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.util import identity_key

from crm.consent import entries
from crm.consent.models import AddressStanding, ConsentEvent
from crm.consent.rules import Act, Channel, Purpose, Reason, Standing, fold
from crm.consent.tokens import suppression_token, suppression_tokens
from crm.contacts.models import Kind
from crm.errors import NotFound
from crm.straight import Statement, straight

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known of a matter whose standing is locked until the transaction ends."""

    matter: Matter
    kind: Kind
    value: str | None
    """The address; None once destroyed."""
    token: bytes | None
    """Of a destroyed address: what the ledger knew it by, if it did."""
    standing: Standing


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
        session: written to, not committed; the caller's commit is the promise.
        act: what happened.
        matter: to which address, for which purpose, on which channel.
        origin: how we know.
        keys: the suppression keys, newest first.
        at: when it happened.
        expires_at: for a confirmation, the end of the term of the text that was shown.

    Raises:
        NotFound: there is no such address, or it was destroyed without a trace in the ledger.

    """
    held = hold(session, matter.address_id, matter.purpose, matter.channel)
    return add(session, held, act, origin, keys=keys, at=at, expires_at=expires_at)


def hold(
    session: Session,
    address_id: int,
    purpose: Purpose,
    channel: Channel | None = None,
    *,
    first: Sequence[Statement] = (),
) -> Held:
    """Lock a standing until the transaction ends, and return what is known then.

    Args:
        session: flushed here.
        address_id: whose.
        purpose: for what.
        channel: None for the address's own: e-mail, or SMS.
        first: what else is to be said in this breath, before all.

    Raises:
        NotFound: there is no such address.

    """
    session.flush()
    found = straight(session, *first, *entries.locking(address_id, purpose, channel))[-1]
    if not found:
        raise NotFound(f"address {address_id}")
    [(kind, value, token, own, *standing)] = found
    return Held(
        matter=Matter(address_id=address_id, purpose=purpose, channel=Channel(own)),
        kind=Kind(kind),
        value=value,
        token=token,
        standing=Standing(*standing),
    )


def add(
    session: Session,
    held: Held,
    act: Act,
    origin: Origin,
    *,
    keys: tuple[str, ...],
    at: datetime,
    expires_at: datetime | None = None,
    also: Sequence[Statement] = (),
) -> ConsentEvent:
    """Do what ``record`` does about a matter that is held, and ``also`` this in the same breath.

    Raises:
        NotFound: the address was destroyed without a trace in the ledger.

    """
    salt = secrets.token_bytes(16)
    event = ConsentEvent(
        at=at,
        act=act,
        purpose=held.matter.purpose,
        channel=held.matter.channel,
        address_id=held.matter.address_id,
        token=_token(held, keys=keys),
        contact_id=origin.contact_id,
        text_id=origin.text_id,
        source=origin.source,
        actor_id=origin.actor_id,
        delivery_id=origin.delivery_id,
        expires_at=expires_at,
        payload_digest=digest(salt, origin.evidence) if origin.evidence else None,
    )
    proof = [entries.proving(salt, origin.evidence)] if origin.evidence else []
    follows = _follows(held, event, keys=keys)
    [[(event.id,)], *_] = straight(session, entries.adding(event), *proof, *follows, *also)
    _has_written(session, event)
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


def _token(held: Held, *, keys: tuple[str, ...]) -> bytes:
    if held.value is not None:
        return suppression_token(held.kind, held.value, key=keys[0])
    if held.token is None:
        raise NotFound(f"address {held.matter.address_id} was destroyed without a trace")
    return held.token


def _follows(held: Held, event: ConsentEvent, *, keys: tuple[str, ...]) -> Iterator[Statement]:
    """Yield what an event that was just added changes in its standing and in the stop list."""
    before = held.standing
    after = fold(before, event.act, at=event.at, expires_at=event.expires_at)
    if after != before:
        yield entries.advancing(event, after)
    if event.act in STOPPING and _stands(after, event.at):
        yield entries.suppressing(event, STOPPING[event.act], held.kind, key=keys[0])
    if event.act is Act.CONFIRMED and held.value is not None:
        yield entries.lifting(event, suppression_tokens(held.kind, held.value, keys=keys))


def _stands(after: Standing, stop_at: datetime) -> bool:
    """Return whether a stop is the last word: one dated before a confirmation is not."""
    return after.confirmed_at is None or stop_at >= after.confirmed_at


def _has_written(session: Session, event: ConsentEvent) -> None:
    """Let the session have the event as a row of its own, and read the standing anew."""
    make_transient_to_detached(event)
    session.add(event)
    key = (event.address_id, event.purpose, event.channel)
    known = session.identity_map.get(identity_key(AddressStanding, key))
    if known is not None:
        session.expire(known)
