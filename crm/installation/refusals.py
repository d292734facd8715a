"""Obeying again the refusals that a restored database has forgotten."""

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.consent.ledger import STOPPING, Matter, Origin, record
from crm.consent.models import ConsentEvent, Suppression
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.tokens import key_id, suppression_tokens
from crm.contacts.models import Address, Kind

SOURCE: Final = "journal"
AT_ONCE: Final = 1000
"""Addresses in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop as the journal has it."""

    at: datetime
    event_id: int
    act: Act
    purpose: Purpose
    channel: Channel
    kind: Kind
    token: bytes
    key_id: str | None


def read(said: dict[str, Any]) -> Stop:
    """Return a record of the journal as a stop."""
    return Stop(
        at=datetime.fromisoformat(said["stopped_at"]),
        event_id=said["event"],
        act=Act(said["act"]),
        purpose=Purpose(said["purpose"]),
        channel=Channel(said["channel"]),
        kind=Kind(said["address"]),
        token=base64.b64decode(said["token"]),
        key_id=said["key"],
    )


def unknown(session: Session, stops: Sequence[Stop]) -> list[Stop]:
    """Return those that the ledger lacks: their number is not there, or is somebody else's now."""
    rows = session.execute(
        select(ConsentEvent.id, ConsentEvent.token).where(
            ConsentEvent.id.in_([stop.event_id for stop in stops])
        )
    )
    known = {(row.id, bytes(row.token)) for row in rows}
    return [stop for stop in stops if (stop.event_id, stop.token) not in known]


def obey(session: Session, stops: Collection[Stop], *, keys: tuple[str, ...]) -> int:
    """Record them where the address is known still, and enter the stop list where it is not."""
    if not stops:
        return 0
    owners = dict(_owners(session, {stop.token for stop in stops}, keys=keys))
    return sum(
        _record(session, stop, owners[stop.token], keys=keys)
        if stop.token in owners
        else _suppress(session, stop, key=keys[0])
        for stop in stops
    )


def _owners(
    session: Session, wanted: set[bytes], *, keys: tuple[str, ...]
) -> Iterator[tuple[bytes, int]]:
    """Yield which address is behind a token: only going through all of them can tell."""
    everybody = select(Address.id, Address.kind, Address.value).where(Address.value.is_not(None))
    for row in session.execute(everybody.execution_options(yield_per=AT_ONCE)):
        for token in suppression_tokens(row.kind, row.value, keys=keys):
            if token in wanted:
                yield token, row.id


def _record(session: Session, stop: Stop, address_id: int, *, keys: tuple[str, ...]) -> int:
    matter = Matter(address_id=address_id, purpose=stop.purpose, channel=stop.channel)
    again = exists().where(
        ConsentEvent.address_id == address_id,
        ConsentEvent.purpose == stop.purpose,
        ConsentEvent.channel == stop.channel,
        ConsentEvent.act == stop.act,
        ConsentEvent.at == stop.at,
    )
    if session.scalar(select(again)):
        return 0
    record(session, stop.act, matter, Origin(source=SOURCE), keys=keys, at=stop.at)
    return 1


def _suppress(session: Session, stop: Stop, *, key: str) -> int:
    if stop.act not in STOPPING:
        return 0
    entry = {
        "kind": stop.kind,
        "key_id": stop.key_id or key_id(key),
        "reason": STOPPING[stop.act],
        "at": stop.at,
        "event_id": stop.event_id,
        "lifted_at": None,
        "lifted_by": None,
    }
    added = session.execute(
        insert(Suppression)
        .values(token=stop.token, purpose=stop.purpose, **entry)
        .on_conflict_do_update(
            index_elements=["token", "purpose"], set_=entry, where=Suppression.at < stop.at
        )
        .returning(Suppression.event_id)
    )
    return len(added.all())
