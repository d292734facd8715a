"""What became of each letter of a campaign, one line per recipient, addresses masked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, literal, or_, select
from sqlalchemy.orm import Session

from crm.consent.rules import Reason
from crm.contacts.models import Address
from crm.delivery.models import Delivery, Outcome, Retry
from crm.delivery.service import is_in_a_window
from crm.delivery.states import DeliveryState
from crm.mail.addresses import mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One recipient's letter."""

    id: int
    """The delivery's: the journal is paged by it."""
    address: str | None
    """Masked; None once destroyed."""
    state: DeliveryState
    at: datetime | None
    """When it ended; None while it has not."""
    reason: Reason | None
    event_id: int | None
    """The ledger event that decided."""
    code: int | None
    reply: str | None
    next_try_at: datetime | None
    tries: int | None


def entries(
    session: Session,
    mailing_id: int,
    *,
    state: DeliveryState | None,
    reason: Reason | None,
    after_id: int | None,
    before_id: int | None,
    limit: int,
) -> list[Entry]:
    """Return up to ``limit`` lines in the order of dispatch, those after or before a delivery."""
    query = _lines().where(Delivery.mailing_id == mailing_id)
    if state is not None:
        query = query.where(_in_state(state))
    if reason is not None:
        query = query.where(Outcome.reason == reason)
    if after_id is not None:
        query = query.where(Delivery.id > after_id)
    if before_id is not None:
        query = query.where(Delivery.id < before_id).order_by(Delivery.id.desc())
    else:
        query = query.order_by(Delivery.id)
    found = [_entry(row) for row in session.execute(query.limit(limit))]
    return found[::-1] if before_id is not None else found


def _lines() -> Select[Any]:
    return (
        select(
            Delivery.id,
            Address.display,
            _state().label("state"),
            Outcome.at,
            Outcome.reason,
            Outcome.event_id,
            Outcome.code,
            Outcome.reply,
            Retry.due_at,
            Retry.tries,
            Retry.reply.label("retry_reply"),
        )
        .join(Address, Address.id == Delivery.address_id)
        .outerjoin(Outcome, Outcome.delivery_id == Delivery.id)
        .outerjoin(Retry, Retry.delivery_id == Delivery.id)
    )


def _state() -> ColumnElement[Any]:
    kind = Outcome.state.type
    return case(
        (Outcome.state.is_not(None), Outcome.state),
        (
            and_(is_in_a_window(), Retry.delivery_id.is_(None)),
            literal(DeliveryState.SENDING, kind),
        ),
        else_=literal(DeliveryState.QUEUED, kind),
    )


def _in_state(state: DeliveryState) -> ColumnElement[bool]:
    if state is DeliveryState.QUEUED:
        return and_(Outcome.state.is_(None), or_(Retry.delivery_id.is_not(None), ~is_in_a_window()))
    if state is DeliveryState.SENDING:
        return and_(Outcome.state.is_(None), Retry.delivery_id.is_(None), is_in_a_window())
    return Outcome.state == state


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        address=mask(row.display) if row.display else None,
        state=DeliveryState(row.state),
        at=row.at,
        reason=row.reason,
        event_id=row.event_id,
        code=row.code,
        reply=row.reply or row.retry_reply,
        next_try_at=row.due_at,
        tries=row.tries,
    )
