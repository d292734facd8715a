"""One promotional letter a day to an address, and not on too many days."""

from datetime import date, timedelta

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.delivery.frequency import Caps, caps_of, forget, reserve
from crm.delivery.models import Delivery, Mailing
from crm.delivery.pacing_models import PromotionalDay
from tests.factories import a_clinic, a_running_mailing, a_willing_contact

TODAY = date(2027, 3, 1)
DAILY = Caps(one_a_day=True, per_month=0)


def letters(session: Session, mailing: Mailing) -> list[int]:
    return list(
        session.scalars(
            select(Delivery.id).where(Delivery.mailing_id == mailing.id).order_by(Delivery.id)
        )
    )


@pytest.fixture
def three(session: Session) -> list[list[int]]:
    """The letters of three mailings to the same four people."""
    a_clinic(session)
    for _ in range(4):
        a_willing_contact(session)
    return [letters(session, a_running_mailing(session)) for _ in range(3)]


def test_the_second_letter_of_a_day_is_withheld(session: Session, three: list[list[int]]) -> None:
    first, second, _third = three
    assert reserve(session, first[:2], on=TODAY, caps=DAILY) == set()
    assert reserve(session, second, on=TODAY, caps=DAILY) == set(second[:2])
    assert reserve(session, second[:2], on=TODAY + timedelta(days=1), caps=DAILY) == set()


def test_another_try_of_the_same_letter_is_not_held_up_by_the_first(
    session: Session, three: list[list[int]]
) -> None:
    first, second, _third = three
    caps = Caps(one_a_day=True, per_month=1)
    for _ in range(3):
        assert reserve(session, first, on=TODAY, caps=caps) == set()
    assert reserve(session, second, on=TODAY, caps=caps) == set(second)


def test_so_many_days_of_thirty_and_not_one_more(session: Session, three: list[list[int]]) -> None:
    first, second, third = three
    caps = Caps(one_a_day=True, per_month=2)
    assert reserve(session, first, on=TODAY, caps=caps) == set()
    assert reserve(session, second, on=TODAY + timedelta(days=5), caps=caps) == set()
    assert reserve(session, third, on=TODAY + timedelta(days=29), caps=caps) == set(third)
    assert reserve(session, third, on=TODAY + timedelta(days=30), caps=caps) == set()


def test_without_a_daily_cap_a_day_counts_once(session: Session, three: list[list[int]]) -> None:
    caps = Caps(one_a_day=False, per_month=1)
    for planned in three[:2]:
        assert reserve(session, planned, on=TODAY, caps=caps) == set()
    assert reserve(session, three[2], on=TODAY + timedelta(days=1), caps=caps) == set(three[2])


def test_without_caps_nothing_is_written(session: Session, three: list[list[int]]) -> None:
    caps = Caps(one_a_day=False, per_month=0)
    assert reserve(session, three[0], on=TODAY, caps=caps) == set()
    assert session.scalar(select(func.count()).select_from(PromotionalDay)) == 0


def test_of_two_that_race_for_a_day_one_is_withheld(
    session: Session, three: list[list[int]], database: str
) -> None:
    session.commit()
    engine = create_engine(database)
    with Session(engine) as other:
        other.connection().exec_driver_sql("SET lock_timeout = '300ms'")
        assert reserve(session, three[0][:2], on=TODAY, caps=DAILY) == set()
        with pytest.raises(Exception, match="lock timeout"):
            reserve(other, list(reversed(three[1])), on=TODAY, caps=DAILY)
        other.rollback()
        session.commit()
        assert reserve(other, three[1], on=TODAY, caps=DAILY) == set(three[1][:2])
        other.commit()
    engine.dispose()


def test_days_that_no_cap_looks_at_are_forgotten(session: Session, three: list[list[int]]) -> None:
    reserve(session, three[0], on=TODAY, caps=DAILY)
    forget(session, on=TODAY + timedelta(days=29))
    assert session.scalar(select(func.count()).select_from(PromotionalDay)) == 4
    forget(session, on=TODAY + timedelta(days=30))
    assert session.scalar(select(func.count()).select_from(PromotionalDay)) == 0


def test_the_clinic_starts_with_one_a_day_and_eight_a_month(session: Session) -> None:
    assert caps_of(details(session)) == Caps(one_a_day=True, per_month=8)
