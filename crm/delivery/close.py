"""Ending mailings: the stopped ones are wound down, the finished ones closed."""

from datetime import datetime

from sqlalchemy import insert, literal, select, text, update
from sqlalchemy.orm import Session

from crm.consent.rules import Reason
from crm.delivery.models import Delivery, Intent, Mailing, Outcome, Range, Retry
from crm.delivery.rules import OVERDUE_AFTER
from crm.delivery.states import DeliveryState, MailingState

RANGES_AT_ONCE = 20
RETRIES_AT_ONCE = 5000
"""How much of what was stopped is written down in one transaction."""


def wind_down(session: Session, *, at: datetime) -> int:
    """Write down as withheld what stopped mailings had not begun; return how many letters.

    A range in a sender's hands is left to it: it finds the stop at its next window and gives the
    range back. Call again until it returns 0.
    """
    ranges = session.execute(
        select(Range.id, Range.mailing_id, Range.next_id, Range.high)
        .join(Mailing, Mailing.id == Range.mailing_id)
        .where(Mailing.state == MailingState.STOPPED, Range.fence.is_(None), ~Range.done)
        .order_by(Range.id)
        .limit(RANGES_AT_ONCE)
        .with_for_update(of=Range, skip_locked=True)
    ).all()
    withheld = sum(_withhold_range(session, *piece, at=at) for piece in ranges)
    return withheld + _withhold_retries(session, at=at)


def finish(session: Session, *, at: datetime) -> list[int]:
    """Close the mailings of which nothing is queued or being sent; return their ids.

    First those without open ranges and retries, then a look at the wire for these alone: looking
    at every mailing's wire would grow with the letters sent.
    """
    open_range = select(Range.id).where(Range.mailing_id == Mailing.id, ~Range.done)
    retry = select(Retry.delivery_id).where(Retry.mailing_id == Mailing.id)
    nearly = session.scalars(
        select(Mailing.id).where(
            Mailing.state == MailingState.RUNNING,
            Mailing.launched_at.is_not(None),
            ~open_range.exists(),
            ~retry.exists(),
        )
    ).all()
    return [mailing_id for mailing_id in nearly if _finish_one(session, mailing_id, at=at)]


def _finish_one(session: Session, mailing_id: int, *, at: datetime) -> bool:
    """Close the mailing if, in this one statement's snapshot, all of it has ended."""
    open_range = select(Range.id).where(Range.mailing_id == mailing_id, ~Range.done)
    retry = select(Retry.delivery_id).where(Retry.mailing_id == mailing_id)
    on_the_wire = (
        select(Intent.delivery_id)
        .outerjoin(Outcome, Outcome.delivery_id == Intent.delivery_id)
        .where(Intent.mailing_id == mailing_id, Outcome.delivery_id.is_(None))
    )
    closed = session.scalar(
        update(Mailing)
        .where(
            Mailing.id == mailing_id,
            Mailing.state == MailingState.RUNNING,
            ~open_range.exists(),
            ~retry.exists(),
            ~on_the_wire.exists(),
        )
        .values(state=MailingState.FINISHED, ended_at=at)
        .returning(Mailing.id)
        .execution_options(synchronize_session=False)
    )
    return closed is not None


def mark_overdue(session: Session, *, at: datetime) -> list[int]:
    """Set aside the mailings that missed their time by more than OVERDUE_AFTER."""
    missed = session.scalars(
        update(Mailing)
        .where(
            Mailing.state == MailingState.SCHEDULED,
            Mailing.due_at < at - OVERDUE_AFTER,
        )
        .values(state=MailingState.OVERDUE)
        .returning(Mailing.id)
        .execution_options(synchronize_session=False)
    )
    return list(missed)


def _withhold_range(
    session: Session, range_id: int, mailing_id: int, next_id: int, high: int, *, at: datetime
) -> int:
    columns = ["delivery_id", "mailing_id", "state", "reason", "at"]
    rest = select(
        Delivery.id,
        Delivery.mailing_id,
        literal(DeliveryState.WITHHELD, Outcome.state.type),
        literal(Reason.STOPPED, Outcome.reason.type),
        literal(at, Outcome.at.type),
    ).where(Delivery.mailing_id == mailing_id, Delivery.id.between(next_id, high))
    written = session.connection().execute(insert(Outcome).from_select(columns, rest))
    session.execute(update(Range).where(Range.id == range_id).values(next_id=high + 1, done=True))
    return written.rowcount


def _withhold_retries(session: Session, *, at: datetime) -> int:
    result = session.connection().execute(
        text(_WITHHOLD_RETRIES), {"at": at, "limit": RETRIES_AT_ONCE}
    )
    return result.rowcount


_WITHHOLD_RETRIES = """
    WITH stopped AS (
        SELECT delivery_id FROM retries
        WHERE fence IS NULL AND mailing_id IN (SELECT id FROM mailings WHERE state = 'stopped')
        LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM retries USING stopped WHERE retries.delivery_id = stopped.delivery_id
        RETURNING retries.delivery_id, retries.mailing_id
    )
    INSERT INTO outcomes (delivery_id, mailing_id, state, reason, at)
    SELECT delivery_id, mailing_id, 'withheld', 'stopped', :at FROM taken
    ON CONFLICT DO NOTHING
"""
