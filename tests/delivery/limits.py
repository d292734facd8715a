"""Limits, said shortly: a relay's, a provider's, and letters taken out of their buckets."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from crm.delivery import pace
from crm.delivery.pacing_models import ProviderManners
from crm.delivery.states import Lane
from tests.factories import NOON, a_clinic


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def take(
    session: Session,
    wanted: int = 64,
    *,
    provider: str = "other",
    mailing_id: int = 0,
    lane: Lane = Lane.BULK,
    at: datetime = NOON,
) -> int:
    return pace.take(session, wanted, provider=provider, mailing_id=mailing_id, lane=lane, at=at)


def relay(session: Session, per_minute: int) -> None:
    a_clinic(session).letters_per_minute = per_minute
    session.flush()


def manners(session: Session, name: str, per_hour: int) -> None:
    session.add(
        ProviderManners(
            name=name, per_hour=200, target_per_hour=per_hour, connections=3, warm_up=False
        )
    )
    session.flush()


def drain(session: Session, *, provider: str = "other", mailing_id: int = 0) -> None:
    take(session, 1_000_000, provider=provider, mailing_id=mailing_id)
