"""Leases: a sender's right to a piece of work, and the counter that shows it is alive."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from crm.delivery.models import Lease, Range, Retry
from crm.delivery.states import Lane, LeaseState


class Fenced(Exception):  # noqa: N818 - it is what happened to the sender
    """The lease is dead: somebody else has this work now, and nothing may be written under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a sender holds: a range of a mailing, or (without one) some of its due retries."""

    fence: int
    mailing_id: int
    range_id: int | None


def take_range(session: Session, lane: Lane, *, at: datetime) -> Work | None:
    """Lease the next free range of a running mailing, or return None."""
    row = session.execute(_TAKE_RANGE, {"lane": lane.value, "at": at}).one_or_none()
    if row is None:
        return None
    return Work(fence=row.fence, mailing_id=row.mailing_id, range_id=row.id)


def beat(session: Session, fence: int, *, windows: int = 0) -> int:
    """Show that the holder lives, and that it still holds; return how many windows it has had.

    The row's lock makes this and a watcher's burial follow each other: whatever is written in
    this transaction is either seen by the burial, or never written.

    Args:
        session: flushed, not committed.
        fence: the lease.
        windows: 1 where results and intents are written in this transaction.

    Raises:
        Fenced: the lease has ended or was buried.

    """
    counted = session.scalar(
        update(Lease)
        .where(Lease.fence == fence, Lease.state == LeaseState.LIVE)
        .values(beats=Lease.beats + 1, windows=Lease.windows + windows)
        .returning(Lease.windows)
        .execution_options(synchronize_session=False)
    )
    if counted is None:
        raise Fenced(f"lease {fence}")
    return counted


def give_back(session: Session, fence: int) -> None:
    """End a lease; what it did not get to is free again."""
    session.execute(update(Range).where(Range.fence == fence).values(fence=None))
    session.execute(update(Retry).where(Retry.fence == fence).values(fence=None))
    session.execute(
        update(Lease)
        .where(Lease.fence == fence, Lease.state == LeaseState.LIVE)
        .values(state=LeaseState.ENDED)
    )


_TAKE_RANGE = text("""
    WITH free AS (
        SELECT r.id, r.mailing_id FROM ranges r JOIN mailings m ON m.id = r.mailing_id
        WHERE r.lane = :lane AND r.fence IS NULL AND NOT r.done AND m.state = 'running'
        ORDER BY r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED
    ), held AS (
        INSERT INTO leases (lane, mailing_id, state, beats, windows, taken_at)
        SELECT :lane, mailing_id, 'live', 0, 0, :at FROM free RETURNING fence
    )
    UPDATE ranges SET fence = held.fence FROM free, held WHERE ranges.id = free.id
    RETURNING ranges.fence, ranges.mailing_id, ranges.id
""")


_DUE = text("""
    SELECT m.id FROM mailings m
    WHERE m.state = 'running' AND m.lane = :lane AND EXISTS (
        SELECT 1 FROM retries r
        WHERE r.mailing_id = m.id AND r.fence IS NULL AND r.due_at <= :at
    )
    ORDER BY m.id LIMIT 1
""")


def take_retries(session: Session, lane: Lane, *, at: datetime, limit: int) -> Work | None:
    """Lease up to ``limit`` retries of one running mailing that are due, or return None."""
    mailing_id = session.scalar(_DUE, {"lane": lane.value, "at": at})
    if mailing_id is None:
        return None
    lease = Lease(lane=lane, mailing_id=mailing_id, taken_at=at)
    session.add(lease)
    session.flush()
    due = (
        select(Retry.delivery_id)
        .where(
            Retry.lane == lane,
            Retry.mailing_id == mailing_id,
            Retry.fence.is_(None),
            Retry.due_at <= at,
        )
        .order_by(Retry.due_at, Retry.delivery_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = session.scalars(
        update(Retry)
        .where(Retry.delivery_id.in_(due))
        .values(fence=lease.fence)
        .returning(Retry.delivery_id)
        .execution_options(synchronize_session=False)
    ).all()
    if not taken:
        session.rollback()
        return None
    return Work(fence=lease.fence, mailing_id=mailing_id, range_id=None)
