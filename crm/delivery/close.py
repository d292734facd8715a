"""Ending mailings: the stopped ones are wound down, the finished ones closed."""

from datetime import datetime

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.orm import Session

from crm.consent.rules import Reason
from crm.delivery.models import Delivery, Intent, Mailing, Outcome, Range, Retry
from crm.delivery.rules import OVERDUE_AFTER
from crm.delivery.states import DeliveryState, MailingState

RANGES_AT_ONCE = 20
"""How much of a stopped mailing is written down in one transaction."""


def wind_down(session: Session, *, at: datetime) -> int:
    """Write down as withheld what stopped mailings had not begun; return how many letters.

    A range in a sender's hands is left to it: it finds the stop at its next window and gives the
    range back. Call again until it returns 0.
    """
    ranges = session.execute(
        select(Range.id, Range.mailing_id, Range.next_id, Range.high)
        .join(Mailing, Mailing.id == Range.mailing_id)
        .where(Mailing.state == MailingState.STOPPED, Range.fence.is_(None), Range.done.is_(False))
        .order_by(Range.id)
        .limit(RANGES_AT_ONCE)
        .with_for_update(of=Range, skip_locked=True)
    ).all()
    withheld = sum(_withhold_range(session, *piece, at=at) for piece in ranges)
    return withheld + _withhold_retries(session, at=at)


def finish(session: Session, *, at: datetime) -> list[int]:
    """Close the mailings of which nothing is queued or being sent; return their ids."""
    open_range = select(Range.id).where(Range.mailing_id == Mailing.id, Range.done.is_(False))
    retry = select(Retry.delivery_id).where(Retry.mailing_id == Mailing.id)
    on_the_wire = (
        select(Intent.delivery_id)
        .outerjoin(Outcome, Outcome.delivery_id == Intent.delivery_id)
        .where(Intent.mailing_id == Mailing.id, Outcome.delivery_id.is_(None))
    )
    closed = session.scalars(
        update(Mailing)
        .where(
            Mailing.state == MailingState.RUNNING,
            Mailing.launched_at.is_not(None),
            ~open_range.exists(),
            ~retry.exists(),
            ~on_the_wire.exists(),
        )
        .values(state=MailingState.FINISHED, ended_at=at)
        .returning(Mailing.id)
        .execution_options(synchronize_session=False)
    )
    return list(closed)


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
    stopped = select(Mailing.id).where(Mailing.state == MailingState.STOPPED)
    taken = session.execute(
        delete(Retry)
        .where(Retry.mailing_id.in_(stopped), Retry.fence.is_(None))
        .returning(Retry.delivery_id, Retry.mailing_id)
        .execution_options(synchronize_session=False)
    ).all()
    session.add_all(
        Outcome(
            delivery_id=delivery_id,
            mailing_id=mailing_id,
            state=DeliveryState.WITHHELD,
            reason=Reason.STOPPED,
            at=at,
        )
        for delivery_id, mailing_id in taken
    )
    session.flush()
    return len(taken)
