"""One promotional letter a day to a person and an address, and not on too many days."""

import threading
from datetime import date, timedelta

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.delivery.frequency import Caps, caps_of, forget, reserve
from crm.delivery.models import Delivery, Mailing
from crm.delivery.pacing_models import PromotionalDay
from tests.factories import a_clinic, a_contact, a_running_mailing, a_willing_contact, an_email

TODAY = date(2027, 3, 1)
DAILY = Caps(one_a_day=True, per_month=0)
TOMORROW = TODAY + timedelta(days=1)


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


def a_letter(session: Session, email: str, contact_id: int | None) -> int:
    """A letter of a mailing of its own."""
    letter = Delivery(
        mailing_id=a_running_mailing(session).id,
        address_id=an_email(session, email).id,
        contact_id=contact_id,
        provider="other",
    )
    session.add(letter)
    session.flush()
    return letter.id


@pytest.fixture
def anna(session: Session) -> int:
    """She reads her mail at home and at work."""
    a_clinic(session)
    return a_contact(session).id


@pytest.mark.parametrize("windows", [1, 2])
def test_whoever_has_two_addresses_gets_one_letter_a_day(
    session: Session, anna: int, windows: int
) -> None:
    home, work = (a_letter(session, email, anna) for email in ("a@home.example", "a@work.example"))
    asked = [[home, work]] if windows == 1 else [[home], [work]]
    withheld = [reserve(session, letters, on=TODAY, caps=DAILY) for letters in asked]
    assert set().union(*withheld) == {work}
    assert reserve(session, [home], on=TODAY, caps=DAILY) == set(), "another try of the same"
    assert reserve(session, [work], on=TOMORROW, caps=DAILY) == set()


def test_a_letter_that_was_withheld_has_taken_nobody_s_day(session: Session, anna: int) -> None:
    boris = a_contact(session).id
    home, shared = (
        a_letter(session, "a@home.example", anna),
        a_letter(session, "ab@x.example", anna),
    )
    assert reserve(session, [home, shared], on=TODAY, caps=DAILY) == {shared}
    his = a_letter(session, "ab@x.example", boris)
    assert reserve(session, [his], on=TODAY, caps=DAILY) == set()
    other = a_letter(session, "b@home.example", boris)
    assert reserve(session, [other], on=TODAY, caps=DAILY) == {other}


def test_the_days_of_a_month_are_counted_over_all_addresses(session: Session, anna: int) -> None:
    caps = Caps(one_a_day=True, per_month=2)
    for day, email in enumerate(("a@home.example", "a@work.example")):
        letter = a_letter(session, email, anna)
        assert reserve(session, [letter], on=TODAY + timedelta(days=day), caps=caps) == set()
    third = a_letter(session, "a@new.example", anna)
    assert reserve(session, [third], on=TODAY + timedelta(days=29), caps=caps) == {third}
    assert reserve(session, [third], on=TODAY + timedelta(days=30), caps=caps) == set()


@pytest.mark.parametrize("windows", [1, 2])
def test_without_a_daily_cap_a_day_is_one_of_the_contact_and_of_each_address(
    session: Session, anna: int, windows: int
) -> None:
    caps = Caps(one_a_day=False, per_month=2)
    home, work = (a_letter(session, email, anna) for email in ("a@home.example", "ab@x.example"))
    for letters in [[home, work]] if windows == 1 else [[home], [work]]:
        assert reserve(session, letters, on=TODAY, caps=caps) == set()
    again = a_letter(session, "a@home.example", anna)
    assert reserve(session, [again], on=TOMORROW, caps=caps) == set(), (
        "the second day, not the third"
    )
    last = a_letter(session, "a@new.example", anna)
    assert reserve(session, [last], on=TOMORROW + timedelta(days=1), caps=caps) == {last}
    boris = a_contact(session).id
    once = Caps(one_a_day=False, per_month=1)
    his = a_letter(session, "ab@x.example", boris)
    assert reserve(session, [his], on=TOMORROW, caps=once) == {his}, "the mailbox has had its day"


def test_a_shared_mailbox_gets_one_letter_whosever_name_it_bears(
    session: Session, anna: int
) -> None:
    boris = a_contact(session).id
    hers, his, nobody_s = (a_letter(session, "ab@x.example", one) for one in (anna, boris, None))
    assert reserve(session, [hers], on=TODAY, caps=DAILY) == set()
    assert reserve(session, [his, nobody_s], on=TODAY, caps=DAILY) == {his, nobody_s}


def test_letters_in_nobody_s_name_are_not_those_of_one_person(session: Session, anna: int) -> None:
    caps = Caps(one_a_day=True, per_month=1)
    letters = [a_letter(session, f"{name}@x.example", None) for name in ("one", "two", "three")]
    assert reserve(session, letters[:2], on=TODAY, caps=caps) == set()
    assert reserve(session, letters, on=TODAY, caps=caps) == set()
    assert reserve(session, letters, on=TOMORROW, caps=caps) == set(), "the same letters"


def test_of_two_addresses_that_race_for_a_contact_s_day_one_is_withheld(
    session: Session, anna: int, database: str
) -> None:
    home, work = (a_letter(session, email, anna) for email in ("a@home.example", "a@work.example"))
    session.commit()
    engine = create_engine(database)
    with Session(engine) as other:
        other.connection().exec_driver_sql("SET lock_timeout = '300ms'")
        assert reserve(session, [home], on=TODAY, caps=DAILY) == set()
        with pytest.raises(Exception, match="lock timeout"):
            reserve(other, [work], on=TODAY, caps=DAILY)
        other.rollback()
        session.commit()
        assert reserve(other, [work], on=TODAY, caps=DAILY) == {work}
        other.commit()
    engine.dispose()


def test_senders_of_the_same_people_s_letters_never_wait_in_a_circle(
    session: Session, anna: int, database: str
) -> None:
    people = [anna, *(a_contact(session).id for _ in range(99))]
    mailing_id = a_running_mailing(session).id
    windows: list[list[int]] = []
    for order in (people, people[::-1]):
        letters = [
            Delivery(
                mailing_id=mailing_id,
                address_id=an_email(session).id,
                contact_id=contact_id,
                provider="other",
            )
            for contact_id in order
        ]
        session.add_all(letters)
        session.flush()
        windows.append([letter.id for letter in letters])
    session.commit()
    engine, together = create_engine(database), threading.Barrier(2, timeout=10)
    withheld: list[int] = []

    def send(letters: list[int]) -> None:
        with Session(engine) as own:
            for day in range(20):
                together.wait()
                on = TODAY + timedelta(days=day)
                withheld.append(len(reserve(own, letters, on=on, caps=DAILY)))
                own.commit()

    threads = [threading.Thread(target=send, args=(letters,)) for letters in windows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    assert len(withheld) == 40
    assert sum(withheld) == 20 * len(people)


def test_days_that_no_cap_looks_at_are_forgotten(session: Session, three: list[list[int]]) -> None:
    reserve(session, three[0], on=TODAY, caps=DAILY)
    forget(session, on=TODAY + timedelta(days=29))
    assert session.scalar(select(func.count()).select_from(PromotionalDay)) == 4
    forget(session, on=TODAY + timedelta(days=30))
    assert session.scalar(select(func.count()).select_from(PromotionalDay)) == 0


def test_the_clinic_starts_with_one_a_day_and_eight_a_month(session: Session) -> None:
    assert caps_of(details(session)) == Caps(one_a_day=True, per_month=8)
