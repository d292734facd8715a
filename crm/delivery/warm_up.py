"""Each provider's pace, moved once a day by what became of yesterday's letters."""

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from crm.consent.models import AddressStanding
from crm.consent.rules import Purpose
from crm.contacts.models import Address
from crm.delivery.models import Delivery, Mailing, Outcome
from crm.delivery.pacing_models import ProviderManners, RefusalCount
from crm.delivery.states import DeliveryState
from crm.delivery.warming import Day, next_per_hour
from crm.mail.refusal import Refusal

_TELLING = (Refusal.RATE_LIMITED, Refusal.POLICY)
"""What a bad reputation shows itself in. Greylisting and full mailboxes tell nothing of us."""


def advance(session: Session, *, at: datetime) -> None:
    """Judge yesterday (UTC) for every provider under warm-up, once; call as often as you like."""
    today = at.date()
    due = session.scalars(
        select(ProviderManners)
        .where(
            ProviderManners.warm_up,
            or_(ProviderManners.warmed_on.is_(None), ProviderManners.warmed_on < today),
        )
        .order_by(ProviderManners.name)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if not due:
        return
    accepted, deferred, complained = _yesterday(session, today - timedelta(days=1))
    for manners in due:
        day = Day(
            accepted=accepted.get(manners.name, 0),
            deferred=deferred.get(manners.name, 0),
            complained=complained.get(manners.name, 0),
        )
        manners.per_hour = next_per_hour(manners.per_hour, target=manners.target_per_hour, day=day)
        manners.warmed_on = today
    session.flush()


def _yesterday(
    session: Session, day: date
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    under_way = select(Mailing.id).where(
        Mailing.launched_at < end, or_(Mailing.ended_at.is_(None), Mailing.ended_at >= start)
    )
    accepted = (
        select(Delivery.provider, func.count())
        .join(Outcome, Outcome.delivery_id == Delivery.id)
        .where(
            Outcome.mailing_id.in_(under_way),
            Outcome.state == DeliveryState.ACCEPTED,
            Outcome.at >= start,
            Outcome.at < end,
        )
        .group_by(Delivery.provider)
    )
    deferred = (
        select(RefusalCount.provider, func.sum(RefusalCount.letters))
        .where(RefusalCount.on == day, RefusalCount.refusal.in_(_TELLING))
        .group_by(RefusalCount.provider)
    )
    complained = (
        select(Address.provider, func.count())
        .join(AddressStanding, AddressStanding.address_id == Address.id)
        .where(
            AddressStanding.purpose == Purpose.MARKETING,
            AddressStanding.complained_at >= start,
            AddressStanding.complained_at < end,
        )
        .group_by(Address.provider)
    )
    found = [
        {str(name): int(number) for name, number in session.execute(query)}
        for query in (accepted, deferred, complained)
    ]
    return found[0], found[1], found[2]
