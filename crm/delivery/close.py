"""Ending mailings: the stopped ones are wound down, the finished ones closed."""

import logging
from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, insert, literal, or_, select, text, update
from sqlalchemy.orm import Session

from crm.consent.rules import Reason
from crm.delivery.models import Delivery, Lease, Mailing, Outcome, Range, Retry, Window
from crm.delivery.rules import OVERDUE_AFTER
from crm.delivery.states import DeliveryState, Lane, LeaseState, MailingState

log = logging.getLogger(__name__)

RANGES_AT_ONCE = 20
RETRIES_AT_ONCE = 5000
"""How much of what was stopped is written down in one transaction."""


def wind_down(session: Session, *, at: datetime) -> int:
    """Write down as withheld what stopped mailings had not begun; return how many letters.

    A range in a sender's hands is left to it: it finds the stop at its next window and gives the
    range back. Call again until it returns 0.
    """
    pieces = session.scalars(
        select(Range)
        .join(Mailing, Mailing.id == Range.mailing_id)
        .where(Mailing.state == MailingState.STOPPED, Range.fence.is_(None), ~Range.done)
        .order_by(Range.id)
        .limit(RANGES_AT_ONCE)
        .with_for_update(of=Range, skip_locked=True)
    ).all()
    withheld: Counter[tuple[int, str, Lane]] = Counter()
    for piece in pieces:
        whose = (piece.mailing_id, piece.provider, piece.lane)
        withheld[whose] += _withhold_range(session, piece, at=at)
    for row in session.execute(_WITHHOLD_RETRIES, {"at": at, "limit": RETRIES_AT_ONCE}):
        withheld[row.mailing_id, row.provider, Lane(row.lane)] += 1
    session.add_all(
        # Nobody held it: it is there for its sum.
        Lease(
            lane=lane,
            mailing_id=mailing_id,
            provider=provider,
            state=LeaseState.ENDED,
            taken_at=at,
            withheld=letters,
        )
        for (mailing_id, provider, lane), letters in withheld.items()
    )
    session.flush()
    return withheld.total()


def finish(session: Session, *, at: datetime) -> list[int]:
    """Close the mailings of which nothing is queued or being sent; return their ids.

    Each gets its certificate. A stopped one stays stopped, and gets it once it is wound down. One
    that is paused or held waits for nobody: there is nothing to go on with. Why it was held stays
    written on it.
    """
    over = session.scalars(
        select(Mailing)
        .where(
            Mailing.state != MailingState.FINISHED,
            Mailing.launched_at.is_not(None),
            Mailing.certificate.is_(None),
            ~_something_left(),
        )
        .order_by(Mailing.id)
        .with_for_update(skip_locked=True)
    ).all()
    return [mailing.id for mailing in over if _close(session, mailing, at=at)]


def _something_left() -> ColumnElement[bool]:
    """Return whether anything of ``Mailing`` is queued or being sent; all three tables are small.

    In one statement, so in one snapshot: letters go from one of them to another.
    """
    return or_(
        exists().where(Range.mailing_id == Mailing.id, ~Range.done),
        exists().where(Retry.mailing_id == Mailing.id),
        exists().where(Window.mailing_id == Mailing.id),
    )


def _close(session: Session, mailing: Mailing, *, at: datetime) -> bool:
    certificate = certify(session, mailing, at=at)
    if certificate["planned"] != mailing.planned or not certificate["adds_up"]:
        log.error("mailing does not add up", extra={"mailing_id": mailing.id})
        return False
    mailing.certificate = certificate
    if mailing.state is not MailingState.STOPPED:
        mailing.state, mailing.ended_at = MailingState.FINISHED, at
    return True


def certify(session: Session, mailing: Mailing, *, at: datetime) -> dict[str, Any]:
    """Return how every planned letter ended, counted from the rows and from nothing else."""
    counted = session.execute(_CERTIFY, {"mailing_id": mailing.id}).all()
    ended = {
        state.value: sum(row.letters for row in counted if row.state == state.value)
        for state in ENDS
    }
    planned = sum(row.letters for row in counted)
    return {
        "planned": planned,
        **ended,
        "reasons": {row.reason: row.letters for row in counted if row.reason},
        "adds_up": sum(ended.values()) == planned,
        "at": at.isoformat(),
    }


ENDS = (
    DeliveryState.ACCEPTED,
    DeliveryState.WITHHELD,
    DeliveryState.FAILED,
    DeliveryState.UNCERTAIN,
)
_CERTIFY = text("""
    SELECT o.state, o.reason, count(*) AS letters
    FROM deliveries d LEFT JOIN outcomes o ON o.delivery_id = d.id
    WHERE d.mailing_id = :mailing_id GROUP BY o.state, o.reason
""")


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


def _withhold_range(session: Session, piece: Range, *, at: datetime) -> int:
    columns = ["delivery_id", "mailing_id", "state", "reason", "at"]
    rest = select(
        Delivery.id,
        Delivery.mailing_id,
        literal(DeliveryState.WITHHELD, Outcome.state.type),
        literal(Reason.STOPPED, Outcome.reason.type),
        literal(at, Outcome.at.type),
    ).where(
        # By the key, and not by the mailing's index: that would read the whole mailing each time.
        Delivery.mailing_id + 0 == piece.mailing_id,
        Delivery.id.between(piece.next_id, piece.high),
    )
    session.execute(insert(Outcome).from_select(columns, rest))
    withheld = piece.waiting
    piece.next_id, piece.waiting, piece.done = piece.high + 1, 0, True
    return withheld


_WITHHOLD_RETRIES = text("""
    WITH stopped AS (
        SELECT delivery_id FROM retries
        WHERE fence IS NULL AND mailing_id IN (SELECT id FROM mailings WHERE state = 'stopped')
        LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM retries USING stopped WHERE retries.delivery_id = stopped.delivery_id
        RETURNING retries.delivery_id, retries.mailing_id, retries.provider, retries.lane
    ), ended AS (
        INSERT INTO outcomes (delivery_id, mailing_id, state, reason, at)
        SELECT delivery_id, mailing_id, 'withheld', 'stopped', :at FROM taken
    )
    SELECT mailing_id, provider, lane FROM taken
""")
