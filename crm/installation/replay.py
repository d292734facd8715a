"""Doing again what a restored database has forgotten, from the journal.

Stops are obeyed again. Mailings of which letters left after the backup are held, and those letters
remembered, so that resuming doubles none. Doing it twice changes nothing.
"""

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from sqlalchemy import case, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.consent.ledger import STOPPING, Matter, Origin, record
from crm.consent.models import ConsentEvent, Suppression
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.tokens import key_id, suppression_tokens
from crm.contacts.models import Address, Kind
from crm.delivery.models import Lease, Mailing
from crm.delivery.states import LeaseState, MailingState
from crm.errors import later
from crm.safekeeping import handed, lines, reading
from crm.safekeeping.reading import Fault, Record
from crm.safekeeping.rules import Marks

BATCH: Final = 1000
SOURCE: Final = "journal"
LEFT: Final = later(
    "Letters of this mailing left after the backup was made. Whoever had one gets no second; "
    "resume it or stop it."
)
OVER: Final = (MailingState.STOPPED, MailingState.FINISHED)
UNLAUNCHED: Final = (MailingState.SCHEDULED, MailingState.OVERDUE)


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


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What the journal had to add, and the largest numbers that it has seen."""

    stops: int = 0
    letters: int = 0
    mailings: set[int] = field(default_factory=set)
    """Those that are held now."""
    unknown: set[UUID] = field(default_factory=set)
    """Mailings of which letters left, and which the database has never heard of."""
    faults: list[Fault] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)


def replay(session: Session, settings: Settings) -> Replayed:
    """Bring the database up to what the journal knows. Flushed, not committed."""
    done = Replayed()
    lost: list[Stop] = []
    whole = reading.records(settings, done.faults)
    while some := list(islice(whole, BATCH)):
        done.marks = reading.largest([done.marks, *(reading.marks_of(one.said) for one in some)])
        lost += _unknown(session, [_stop(one) for one in some if one.kind == "stop"])
        _remember(session, [one for one in some if one.kind == "handing"], done)
    _hold(session, done.mailings)
    done.stops = _stop_again(session, lost, keys=settings.suppression_keys)
    session.flush()
    return done


def _stop(one: Record) -> Stop:
    said = one.said
    return Stop(
        at=one.at,
        event_id=said["event"],
        act=Act(said["act"]),
        purpose=Purpose(said["purpose"]),
        channel=Channel(said["channel"]),
        kind=Kind(said["address"]),
        token=base64.b64decode(said["token"]),
        key_id=said["key"],
    )


def _unknown(session: Session, stops: Sequence[Stop]) -> list[Stop]:
    """Return those that the ledger lacks: their number is not there, or is somebody else's now."""
    rows = session.execute(
        select(ConsentEvent.id, ConsentEvent.token).where(
            ConsentEvent.id.in_([stop.event_id for stop in stops])
        )
    )
    known = {(row.id, bytes(row.token)) for row in rows}
    return [stop for stop in stops if (stop.event_id, stop.token) not in known]


def _stop_again(session: Session, stops: Collection[Stop], *, keys: tuple[str, ...]) -> int:
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
    for row in session.execute(everybody.execution_options(yield_per=BATCH)):
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


def _remember(session: Session, windows: Sequence[Record], done: Replayed) -> None:
    """Remember the letters of windows that the database may not know to have left.

    It knows them for certain only where their lease ended in it.
    """
    keys = {UUID(one.said["mailing"]) for one in windows}
    mailings = {
        row.key: row
        for row in session.execute(
            select(Mailing.key, Mailing.id, Mailing.state).where(Mailing.key.in_(keys))
        )
    }
    ended = set(
        session.scalars(
            select(Lease.fence).where(
                Lease.fence.in_({one.said["fence"] for one in windows}),
                Lease.state == LeaseState.ENDED,
            )
        )
    )
    done.unknown |= keys - set(mailings)
    for one in windows:
        mailing = mailings.get(UUID(one.said["mailing"]))
        if mailing is None or mailing.state in OVER or one.said["fence"] in ended:
            continue
        added = handed.remember(session, mailing.id, lines.unpacked(one.said["to"]))
        if added:
            done.letters += added
            done.mailings.add(mailing.id)


def _hold(session: Session, mailing_ids: Collection[int]) -> None:
    """Let a person decide on each; one that was not launched in this database is overdue."""
    session.execute(
        update(Mailing)
        .where(Mailing.id.in_(mailing_ids))
        .values(
            state=case(
                (Mailing.state.in_(UNLAUNCHED), MailingState.OVERDUE), else_=MailingState.HELD
            ),
            held_because=LEFT,
        )
        .execution_options(synchronize_session=False)
    )
