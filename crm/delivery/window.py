"""Transaction (a) of a window: results written down, the next intents made, under the fence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from crm.consent.models import AddressStanding
from crm.consent.rules import Reason
from crm.contacts.models import Address, Contact
from crm.delivery.lease import Work, beat
from crm.delivery.models import Delivery, Intent, Mailing, Outcome, Range, Retry
from crm.delivery.states import DeliveryState, Lane, MailingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Whom one letter of a window is for, and what its slots need."""

    delivery_id: int
    address_id: int
    value: str | None
    """None where the address was destroyed since launch."""
    kind: str
    first_name: str
    patronymic: str
    confirmed_at: datetime | None
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one recipient in one window: an end, or a retry."""

    delivery_id: int
    state: DeliveryState
    """QUEUED goes with ``retry_at``."""
    at: datetime
    tries: int
    retry_at: datetime | None = None
    reason: Reason | None = None
    event_id: int | None = None
    code: int | None = None
    reply: str | None = None


def begin(session: Session, work: Work) -> tuple[int, MailingState]:
    """Open transaction (a) under the fence.

    Returns how many such transactions this lease has had with this one, and the mailing's state:
    only a hint, since the gate looks at it again. Raises Fenced.
    """
    windows = beat(session, work.fence, windows=1)
    state = session.scalars(select(Mailing.state).where(Mailing.id == work.mailing_id)).one()
    return windows, state


def take_back(session: Session, work: Work, lane: Lane, *, at: datetime) -> None:
    """Queue again what this fence has intended, and its holder never heard of.

    For a transaction (a) that was committed while its answer was lost: no body was written.
    """
    orphans = open_intents(session, work.fence)
    if orphans:
        session.execute(
            insert(Retry),
            [
                {
                    "delivery_id": delivery_id,
                    "mailing_id": work.mailing_id,
                    "lane": lane,
                    "due_at": at,
                    "tries": tries - 1,
                    "fence": None,
                }
                for delivery_id, tries in orphans
            ],
        )


def open_intents(session: Session, fence: int) -> list[tuple[int, int]]:
    """Return delivery and try of each intent of ``fence`` that has no outcome and no retry.

    One that a later fence has taken up again is that one's business.
    """
    later = aliased(Intent)
    rows = session.execute(
        select(Intent.delivery_id, Intent.tries)
        .outerjoin(Outcome, Outcome.delivery_id == Intent.delivery_id)
        .outerjoin(Retry, Retry.delivery_id == Intent.delivery_id)
        .where(
            Intent.fence == fence,
            Outcome.delivery_id.is_(None),
            Retry.delivery_id.is_(None),
            ~exists().where(later.delivery_id == Intent.delivery_id, later.fence > fence),
        )
    )
    return [(row.delivery_id, row.tries) for row in rows]


def intend(session: Session, work: Work, *, limit: int, at: datetime) -> list[Recipient]:
    """Write intents for the next recipients of ``work`` and return them; none when it is done."""
    tries = (
        _next_of_range(session, work.range_id, limit=limit)
        if work.range_id is not None
        else _next_retries(session, work.fence, limit=limit)
    )
    if not tries:
        return []
    session.execute(
        insert(Intent),
        [
            {
                "delivery_id": delivery_id,
                "fence": work.fence,
                "mailing_id": work.mailing_id,
                "tries": made + 1,
                "at": at,
            }
            for delivery_id, made in tries.items()
        ],
    )
    return [_recipient(row, tries[row.id] + 1) for row in _people(session, list(tries))]


def settle(session: Session, work: Work, lane: Lane, results: Iterable[Result]) -> None:
    """Write down results. Belongs into a transaction that ``begin`` opened."""
    ended = [result for result in results if result.state is not DeliveryState.QUEUED]
    again = [result for result in results if result.state is DeliveryState.QUEUED]
    if ended:
        session.execute(
            upsert(Outcome).on_conflict_do_nothing(),
            [
                {
                    "delivery_id": result.delivery_id,
                    "mailing_id": work.mailing_id,
                    "state": result.state,
                    "at": result.at,
                    "reason": result.reason,
                    "event_id": result.event_id,
                    "code": result.code,
                    "reply": result.reply,
                }
                for result in ended
            ],
        )
    if again:
        session.execute(
            upsert(Retry).on_conflict_do_nothing(),
            [
                {
                    "delivery_id": result.delivery_id,
                    "mailing_id": work.mailing_id,
                    "lane": lane,
                    "due_at": result.retry_at,
                    "tries": result.tries,
                    "reply": result.reply,
                    "fence": None,
                }
                for result in again
            ],
        )


def _next_of_range(session: Session, range_id: int, *, limit: int) -> dict[int, int]:
    piece = session.execute(
        select(Range.mailing_id, Range.next_id, Range.high, Range.done)
        .where(Range.id == range_id)
        .with_for_update()
    ).one()
    if piece.done:
        return {}
    ids = session.scalars(
        select(Delivery.id)
        .where(
            Delivery.mailing_id == piece.mailing_id,
            Delivery.id >= piece.next_id,
            Delivery.id <= piece.high,
        )
        .order_by(Delivery.id)
        .limit(limit)
    ).all()
    after = ids[-1] + 1 if ids else piece.high + 1
    session.execute(
        update(Range)
        .where(Range.id == range_id)
        .values(next_id=after, done=after > piece.high or len(ids) < limit)
    )
    return dict.fromkeys(ids, 0)


def _next_retries(session: Session, fence: int, *, limit: int) -> dict[int, int]:
    chosen = select(Retry.delivery_id).where(Retry.fence == fence).limit(limit)
    rows = session.execute(
        delete(Retry)
        .where(Retry.delivery_id.in_(chosen))
        .returning(Retry.delivery_id, Retry.tries)
        .execution_options(synchronize_session=False)
    )
    return {row.delivery_id: row.tries for row in rows}


def _people(session: Session, delivery_ids: list[int]) -> Sequence[Any]:
    return session.execute(
        select(
            Delivery.id,
            Delivery.address_id,
            Address.value,
            Address.kind,
            Contact.first_name,
            Contact.patronymic,
            AddressStanding.confirmed_at,
        )
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .join(Address, Address.id == Delivery.address_id)
        .outerjoin(Contact, Contact.id == Delivery.contact_id)
        .outerjoin(
            AddressStanding,
            and_(
                AddressStanding.address_id == Delivery.address_id,
                AddressStanding.purpose == Mailing.purpose,
                AddressStanding.channel == Mailing.channel,
            ),
        )
        .where(Delivery.id.in_(delivery_ids))
        .order_by(Delivery.id)
    ).all()


def _recipient(row: Any, tries: int) -> Recipient:
    return Recipient(
        delivery_id=row.id,
        address_id=row.address_id,
        value=row.value,
        kind=row.kind.value,
        first_name=row.first_name or "",
        patronymic=row.patronymic or "",
        confirmed_at=row.confirmed_at,
        tries=tries,
    )
