"""Behind a relay that answers 250 to all: the first letters go, and their bounces are waited for.

Such a relay finds out later which addresses exist, and says so by letter. What share of a list is
dead is then known from its first 200 letters, if one waits a quarter of an hour.
"""

from datetime import datetime

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session

from crm.consent.models import ConsentEvent
from crm.consent.rules import Act, Purpose
from crm.delivery import service
from crm.delivery.models import Delivery, Mailing, Window
from crm.delivery.states import Lane, MailingState
from crm.delivery.vigil import FIRST, PROBE_PAUSE, after_bounces


def left(session: Session, mailing_id: int) -> int:
    """Return how many of its first letters a mailing may still send before it waits."""
    taken: int = session.execute(_TAKEN, {"mailing_id": mailing_id}).scalar_one()
    return max(0, FIRST - taken)


def begin(session: Session, *, at: datetime) -> list[int]:
    """Let the mailings wait whose first letters are all out; return their ids.

    To be asked only where the relay is such a one.
    """
    out = session.scalars(
        select(Mailing)
        .where(
            Mailing.state == MailingState.RUNNING,
            Mailing.lane == Lane.BULK,
            Mailing.purpose == Purpose.MARKETING,
            Mailing.probe_until.is_(None),
            Mailing.planned > FIRST,
            ~exists().where(Window.mailing_id == Mailing.id),
        )
        .with_for_update(skip_locked=True)
    ).all()
    waiting = [mailing for mailing in out if left(session, mailing.id) == 0]
    for mailing in waiting:
        mailing.probe_until = at + PROBE_PAUSE
    session.flush()
    return [mailing.id for mailing in waiting]


def judge(session: Session, *, at: datetime) -> None:
    """End the waits that are over: by its bounces, a mailing goes on or is held."""
    over = session.scalars(
        select(Mailing)
        .where(
            Mailing.state == MailingState.RUNNING,
            Mailing.probe_until <= at,
            ~Mailing.is_probed,
        )
        .with_for_update(skip_locked=True)
    ).all()
    for mailing in over:
        mailing.is_probed = True
        session.flush()
        because = after_bounces(_bounced(session, mailing.id), handed_over=FIRST)
        if because:
            service.hold(session, mailing.id, because)


def _bounced(session: Session, mailing_id: int) -> int:
    return (
        session.scalar(
            select(func.count(ConsentEvent.delivery_id.distinct()))
            .join(Delivery, Delivery.id == ConsentEvent.delivery_id)
            .where(ConsentEvent.act == Act.BOUNCED, Delivery.mailing_id == mailing_id)
        )
        or 0
    )


_TAKEN = text("""
    SELECT m.planned - coalesce(
        (SELECT sum(waiting) FROM ranges WHERE mailing_id = m.id AND NOT done), 0)::int
    FROM mailings m WHERE m.id = :mailing_id
""")
