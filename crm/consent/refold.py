"""Holding what is derived from the ledger, and the evidence, against the ledger itself."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import Table, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent, Log
from crm.consent.ledger import digest
from crm.consent.models import AddressStanding, ConsentEvent, ConsentPayload
from crm.consent.rules import Act, Channel, Purpose, Standing, fold
from crm.db import Base

LOGS: Final[dict[Log, Table]] = {
    Log.AUDIT: Base.metadata.tables[AuditEvent.__tablename__],
    Log.CONSENT: Base.metadata.tables[ConsentEvent.__tablename__],
}
"""The sealed logs and where they lie."""

Key = tuple[int, Purpose, Channel]
"""Which standing: address, purpose, channel."""
_AT_ONCE: Final = 2_000


class Event(Protocol):
    """What a standing is made of: a row of the ledger, or one to be."""

    @property
    def id(self) -> int: ...
    @property
    def act(self) -> Act: ...
    @property
    def at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Folded:
    """A standing and the events that decided it, as ``ledger.record`` would have left them."""

    standing: Standing = field(default_factory=Standing)
    grant_event_id: int | None = None
    stop_event_id: int | None = None

    def after(self, event: Event) -> "Folded":
        """Return what this becomes by the next event. Feed events in the order of their ids."""
        standing = fold(self.standing, event.act, at=event.at, expires_at=event.expires_at)
        if standing == self.standing:
            return self
        grant, stop = self.grant_event_id, self.stop_event_id
        if event.act is Act.CONFIRMED:
            grant = event.id
        elif event.act is not Act.ASKED:
            stop = event.id
        return Folded(standing, grant, stop)

    def columns(self) -> dict[str, Any]:
        """Return the columns of ``AddressStanding`` beside its key."""
        of_standing = self.standing._asdict()
        return {
            **of_standing,
            "grant_event_id": self.grant_event_id,
            "stop_event_id": self.stop_event_id,
        }


def differences(session: Session) -> list[Key]:
    """Return the standings that are not what the ledger makes of them; an empty list is proof."""
    return [key for key, kept, folded in _compared(session) if kept != folded]


def rebuild(session: Session) -> int:
    """Write every standing anew that differs from the ledger; return how many those were.

    Locks the standings first, so that nobody adds to one in between.
    """
    session.execute(select(AddressStanding.address_id).with_for_update())
    wrong = [(key, folded) for key, kept, folded in _compared(session) if kept != folded]
    for (address_id, purpose, channel), folded in wrong:
        key = {"address_id": address_id, "purpose": purpose, "channel": channel}
        columns = folded.columns()
        session.execute(
            insert(AddressStanding)
            .values(**key, **columns)
            .on_conflict_do_update(index_elements=list(key), set_=columns)
        )
    session.flush()
    return len(wrong)


def doubtful_evidence(session: Session) -> int:
    """Return how many payloads are not what their event was written with."""
    rows = session.execute(
        select(ConsentPayload.salt, ConsentPayload.evidence, ConsentEvent.payload_digest)
        .join(ConsentEvent, ConsentEvent.id == ConsentPayload.event_id)
        .execution_options(yield_per=_AT_ONCE)
    )
    return sum(
        not hmac.compare_digest(digest(row.salt, row.evidence), row.payload_digest or b"")
        for row in rows
    )


def _compared(session: Session) -> Iterator[tuple[Key, Folded, Folded]]:
    """Yield each standing as it is kept and as the ledger folds."""
    kept = {(row.address_id, row.purpose, row.channel): _kept(row) for row in _standings(session)}
    for key, folded in _folded(session):
        yield key, kept.pop(key, Folded()), folded
    for key, row in kept.items():
        yield key, row, Folded()


def _standings(session: Session) -> Iterator[Any]:
    columns = AddressStanding.__table__.c
    yield from session.execute(select(*columns).execution_options(yield_per=_AT_ONCE))


def _folded(session: Session) -> Iterator[tuple[Key, Folded]]:
    event = ConsentEvent
    rows = session.execute(
        select(
            event.id, event.act, event.at, event.expires_at,
            event.address_id, event.purpose, event.channel,
        )
        .order_by(event.address_id, event.purpose, event.channel, event.id)
        .execution_options(yield_per=_AT_ONCE)
    )  # fmt: skip
    key: Key | None = None
    folded = Folded()
    for row in rows:
        found = (row.address_id, row.purpose, row.channel)
        if key is not None and found != key:
            yield key, folded
            folded = Folded()
        key, folded = found, folded.after(row)
    if key is not None:
        yield key, folded


def _kept(row: Any) -> Folded:
    standing = Standing(**{name: getattr(row, name) for name in Standing._fields})
    return Folded(standing, row.grant_event_id, row.stop_event_id)
