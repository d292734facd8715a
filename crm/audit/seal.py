"""Sealing the append-only logs into chains of blocks, and checking the chains.

Housekeeping seals what is new every minute, so that no business transaction ever waits for a
chain's head. The events to seal come from the queue ``unsealed`` and not from "ids above the
last one": ids are not in the order of commits, so a lower id may appear after a higher one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from sqlalchemy import BigInteger, Table, cast, delete, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from crm.audit.models import Log, SealBlock, Unsealed
from crm.audit.rules import GENESIS, block_hash, canonical, spans

BLOCK_SIZE = 20_000
"""Events a block holds at most: bounds the memory of sealing and of checking."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something about a log that is not as it was sealed. ``block`` is 0 for the log as a whole."""

    log: Log
    block: int
    what: str


def seal(session: Session, log: Log, table: Table, *, at: datetime) -> int:
    """Seal the next block of what is committed and not yet sealed; return its number of events.

    Call until it returns 0, and commit after each. One sealer a log at a time: a second one finds
    the lock taken and seals nothing.
    """
    if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _lock(log)}):
        return 0
    return _seal_block(session, log, table, at=at)


def verify(session: Session, log: Log, table: Table) -> list[Fault]:
    """Return every way in which ``log`` differs from what was sealed; an empty list is proof.

    Under REPEATABLE READ: an event added between two statements would look like a forged one.
    """
    faults: list[Fault] = []
    previous, number, counted = GENESIS, 0, 0
    blocks = select(SealBlock).where(SealBlock.log == log).order_by(SealBlock.number)
    for block in session.scalars(blocks.execution_options(yield_per=100)):
        number += 1
        counted += block.count
        if block.number != number or block.previous != previous:
            faults.append(Fault(log, block.number, "the chain is broken here"))
        ids = [(span.lower, span.upper - 1) for span in block.events]
        if block_hash(block.previous, block.number, _lines(session, table, ids)) != block.hash:
            faults.append(Fault(log, block.number, "an event was changed, added or removed"))
        previous, number = block.hash, block.number
    return faults + _unaccounted(session, log, table, sealed=counted)


def _unaccounted(session: Session, log: Log, table: Table, *, sealed: int) -> list[Fault]:
    """Return faults of the log as a whole: each event is in a block or waits for one."""
    queued = select(Unsealed.event_id).where(Unsealed.log == log).subquery()
    waiting = select(func.count()).select_from(queued)
    known = waiting.join(table, table.c.id == queued.c.event_id)
    total = select(func.count()).select_from(table)
    waits, real, there = (session.scalar(query) or 0 for query in (waiting, known, total))
    faults = []
    if real != waits:
        faults.append(Fault(log, 0, f"{waits - real} events that wait for a seal are gone"))
    if there != sealed + real:
        faults.append(Fault(log, 0, f"{there} events, {sealed} sealed and {real} waiting"))
    return faults


def _lock(log: Log) -> int:
    return 0x5EA1_0000 + list(Log).index(log)


def _seal_block(session: Session, log: Log, table: Table, *, at: datetime) -> int:
    waiting = (
        select(Unsealed.event_id)
        .where(Unsealed.log == log)
        .order_by(Unsealed.event_id)
        .limit(BLOCK_SIZE)
    )
    taken = (
        delete(Unsealed)
        .where(Unsealed.log == log, Unsealed.event_id.in_(waiting))
        .returning(Unsealed.event_id)
    )
    ids = spans(sorted(session.scalars(taken)))
    if not ids:
        return 0
    last = session.scalar(
        select(SealBlock).where(SealBlock.log == log).order_by(SealBlock.number.desc()).limit(1)
    )
    number = 1 if last is None else last.number + 1
    previous = GENESIS if last is None else last.hash
    block = SealBlock(
        log=log,
        number=number,
        previous=previous,
        hash=block_hash(previous, number, _lines(session, table, ids)),
        count=sum(high - low + 1 for low, high in ids),
        events=Multirange([Range(low, high + 1) for low, high in ids]),
        sealed_at=at,
    )
    session.add(block)
    session.flush()
    return block.count


def _lines(session: Session, table: Table, ids: list[tuple[int, int]]) -> Iterator[bytes]:
    lows, highs = [low for low, _high in ids], [high for _low, high in ids]
    bigints = ARRAY(BigInteger)
    pairs = func.unnest(cast(lows, bigints), cast(highs, bigints))
    span = pairs.table_valued("low", "high").render_derived()
    rows = session.execute(
        select(table)
        .join(span, table.c.id.between(span.c.low, span.c.high))
        .order_by(table.c.id)
        .execution_options(yield_per=1000)
    )
    for row in rows.mappings():
        yield canonical({str(name): value for name, value in row.items()})
