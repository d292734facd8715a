"""Buckets, rests and the cap on the real database."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from crm.delivery import pace
from crm.delivery.pacing_models import Pace, ProviderManners
from crm.delivery.rest import lift, rest, resting_domains, rests, wake
from crm.delivery.states import Lane
from tests.factories import NOON, a_clinic


def take(
    session: Session,
    wanted: int = 64,
    *,
    provider: str = "other",
    mailing: int = 1,
    per_minute: int | None = None,
    lane: Lane = Lane.BULK,
    at: datetime = NOON,
) -> int:
    return pace.take(
        session,
        wanted,
        provider=provider,
        mailing_id=mailing,
        per_minute=per_minute,
        lane=lane,
        at=at,
    )


def relay(session: Session, per_minute: int) -> None:
    a_clinic(session).letters_per_minute = per_minute
    session.flush()


def test_what_has_no_limit_gives_all_and_leaves_no_row(session: Session) -> None:
    relay(session, 0)
    assert take(session) == 64
    assert session.query(Pace).count() == 0


def test_a_bucket_holds_two_seconds_worth_and_fills_at_its_pace(session: Session) -> None:
    relay(session, 600)
    assert take(session) == 18
    assert take(session) == 0
    assert take(session, at=NOON + timedelta(seconds=1)) == 10
    assert take(session, at=NOON + timedelta(hours=5)) == 18


def test_a_rest_grows(session: Session) -> None:
    rest(session, "provider:gmail", because="421 4.7.28", at=NOON)
    rest(session, "domain:firm.example", because="421", at=NOON)
    assert take(session, provider="gmail") == 0
    assert take(session, provider="mailru") == 64
    assert resting_domains(session, at=NOON) == {"firm.example": NOON + timedelta(minutes=15)}
    assert pace.dry(session, at=NOON) >= {"provider:gmail"}
