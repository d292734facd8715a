"""Uncertain letters sent again, because a named person says so.

They leave as a mailing of their own: the same frozen letter, a delivery for each address. The
books of the mailing in which they became uncertain stay as they are, and consent is looked at
again before each dot, as always.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, exists, func, select, text
from sqlalchemy.orm import Session, aliased

from crm.audit.service import note
from crm.delivery import service
from crm.delivery.models import Delivery, Mailing, Outcome
from crm.delivery.states import DeliveryState, Lane, MailingState
from crm.errors import WrongState

RESENT = "mailing.resent"
AT_REST = frozenset({MailingState.PAUSED, MailingState.HELD, MailingState.STOPPED})
"""While a mailing is in one of these, nothing of it leaves, and nothing goes again."""


def resend(
    session: Session,
    mailing: Mailing,
    delivery_ids: Collection[int] | None,
    *,
    by: int,
    at: datetime,
) -> Mailing | None:
    """Send uncertain letters of ``mailing`` again; return the mailing that does, already running.

    A letter goes again once at most, whoever asks and however often: the rows of ``mailing`` and of
    those whose letters it sends again itself are locked until the caller commits, so of two people
    the second finds what the first has done, and whoever stops one of them stops this too.

    Args:
        session: flushed, not committed.
        mailing: the one in which they became uncertain; to be asked for on the bulk lane only.
        delivery_ids: which of its letters; None for all that are left.
        by: the member of staff in whose name it is done.
        at: now.

    Returns None, and nothing is written, where none of them is left to be sent again.

    Raises:
        WrongState: one of them is paused, held or stopped, and it is the same letter.

    """
    for state in session.scalars(_LOCK_ALL, {"mailing_id": mailing.id}):
        if state in AT_REST:
            raise WrongState(f"mailing {mailing.id} or the one before it is {state}")
    session.refresh(mailing)
    left = _left(mailing.id)
    if delivery_ids is not None:
        left = left.where(Delivery.id.in_(delivery_ids))
    if session.scalar(select(left.exists())) is not True:
        return None
    again = _copy(session, mailing, at=at)
    count = service.enlist(session, again, left, at=at)
    note(
        session,
        RESENT,
        at=at,
        actor_id=by,
        subject="mailing",
        subject_id=mailing.id,
        again_id=again.id,
        count=count,
    )
    session.flush()
    return again


def how_many_left(
    session: Session, mailing_id: int, delivery_ids: Collection[int] | None = None
) -> int:
    """Return how many uncertain letters, of these or of all, were not sent again yet."""
    left = _left(mailing_id)
    if delivery_ids is not None:
        left = left.where(Delivery.id.in_(delivery_ids))
    return session.scalar(select(func.count()).select_from(left.subquery())) or 0


def sent_again(session: Session, mailing_id: int, delivery_ids: Collection[int]) -> set[int]:
    """Return which of these letters have gone again, by another mailing."""
    letters = select(Delivery.id).where(Delivery.id.in_(delivery_ids), _went_again(mailing_id))
    return set(session.scalars(letters))


def _left(mailing_id: int) -> Select[Any]:
    """Return the SELECT of ``address_id, contact_id, provider`` that ``enlist`` takes."""
    chosen = (
        select(Delivery.address_id, Delivery.contact_id, Delivery.provider)
        .join(Outcome, Outcome.delivery_id == Delivery.id)
        .where(
            Outcome.mailing_id == mailing_id,
            Outcome.state == DeliveryState.UNCERTAIN,
            ~_went_again(mailing_id),
        )
    )
    return cast("Select[Any]", chosen)


def _went_again(mailing_id: int) -> ColumnElement[bool]:
    later = aliased(Delivery)
    return exists().where(
        Mailing.resends_id == mailing_id,
        later.mailing_id == Mailing.id,
        later.address_id == Delivery.address_id,
    )


def _copy(session: Session, mailing: Mailing, *, at: datetime) -> Mailing:
    again = Mailing(
        purpose=mailing.purpose,
        channel=mailing.channel,
        lane=Lane.BULK,
        state=MailingState.SCHEDULED,
        letter=mailing.letter,
        envelope=mailing.envelope,
        due_at=at,
        created_at=at,
        per_minute=mailing.per_minute,
        uncapped=True,
        resends_id=mailing.id,
    )
    session.add(again)
    session.flush()
    return again


_LOCK_ALL = text("""
    WITH RECURSIVE before AS (
        SELECT id, resends_id FROM mailings WHERE id = :mailing_id
        UNION SELECT m.id, m.resends_id FROM mailings m JOIN before b ON m.id = b.resends_id
    )
    SELECT state FROM mailings WHERE id IN (SELECT id FROM before)
    ORDER BY id FOR NO KEY UPDATE
""")
"""In the order of their ids, as whoever stops them takes the locks: the first before the second."""
