"""The gap between a stop and a letter after it, from rows as the engine leaves them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.consent import gate
from crm.consent.ledger import Matter, Origin, record
from crm.consent.models import Barrier, ConsentEvent
from crm.consent.rules import Act, Channel, Purpose
from crm.contacts.models import Address
from crm.delivery import mishaps
from crm.delivery.models import Delivery, Mailing, Outcome
from crm.delivery.states import DeliveryState, MailingState, Mishap
from crm.operations.stop_gap import PATIENCE, REMEMBERED_S, Gap, gap, long_gap
from tests.factories import KEYS, NOON, a_running_mailing, a_willing_contact, an_event

SECOND = timedelta(seconds=1)
NOTHING: dict[str, Any] = {
    "letters": 0,
    "last_after": timedelta(),
    "unproved": 0,
    "proved": timedelta(),
}


@pytest.fixture
def mailing(session: Session) -> Mailing:
    a_willing_contact(session, at=NOON - timedelta(days=60))
    return a_running_mailing(session)


@pytest.fixture
def address(session: Session, mailing: Mailing) -> Address:
    return session.scalars(select(Address)).one()


def answered(
    session: Session,
    at: datetime,
    state: DeliveryState = DeliveryState.ACCEPTED,
    *,
    turn: int | None = None,
    event_id: int | None = None,
) -> None:
    delivery_id, mailing_id = session.execute(
        select(func.max(Delivery.id), func.max(Delivery.mailing_id))
    ).one()
    session.add(
        Outcome(
            delivery_id=delivery_id,
            mailing_id=mailing_id,
            state=state,
            at=at,
            turn=turn,
            event_id=event_id,
        )
    )
    session.flush()


def passed(session: Session, stop: ConsentEvent) -> int:
    """Let a stop pass the gate; return its turn."""
    assert gate.barrier(session, [stop.id])
    return session.scalars(select(Barrier.turn).where(Barrier.event_id == stop.id)).one()


def seen(session: Session) -> Gap:
    return gap(session, since=NOON - timedelta(days=30))


def test_without_stops_there_is_none(session: Session, address: Address) -> None:
    answered(session, NOON)
    assert seen(session) == Gap(stops=0, **NOTHING)


def test_a_letter_answered_before_the_stop_is_none_of_them(
    session: Session, address: Address
) -> None:
    answered(session, NOON)
    an_event(session, Act.OPTED_OUT, address, at=NOON + SECOND)
    assert seen(session) == Gap(stops=1, **NOTHING)


def test_one_answered_soon_after_is_counted_and_proves_nothing(
    session: Session, address: Address
) -> None:
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON + 2 * SECOND)
    found = seen(session)
    assert found == Gap(stops=1, letters=1, last_after=2 * SECOND, unproved=1, proved=timedelta())


@pytest.mark.parametrize(
    "act", [Act.OPTED_OUT, Act.STOP_DEMANDED, Act.WITHDRAWN, Act.PURPOSE_ENDED, Act.COMPLAINED]
)
def test_one_answered_later_than_anybody_waits_left_after_the_stop(
    session: Session, address: Address, act: Act
) -> None:
    an_event(session, act, address, at=NOON)
    answered(session, NOON + PATIENCE + 3 * SECOND)
    assert seen(session).proved == 3 * SECOND


def test_a_person_who_agreed_again_may_be_written_to(session: Session, address: Address) -> None:
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    an_event(session, Act.CONFIRMED, address, at=NOON + SECOND)
    answered(session, NOON + timedelta(hours=1))
    assert seen(session) == Gap(stops=1, **NOTHING)


def test_agreeing_again_later_excuses_nothing(session: Session, address: Address) -> None:
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON + timedelta(hours=1))
    an_event(session, Act.CONFIRMED, address, at=NOON + timedelta(hours=2))
    assert seen(session).proved == timedelta(hours=1) - PATIENCE


def test_what_did_not_leave_is_no_letter(session: Session, address: Address) -> None:
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON + timedelta(hours=1), DeliveryState.WITHHELD)
    assert seen(session).letters == 0


def test_a_bounce_is_no_persons_stop(session: Session, address: Address) -> None:
    an_event(session, Act.BOUNCED, address, at=NOON)
    answered(session, NOON + timedelta(hours=1))
    assert seen(session).stops == 0


def test_a_stop_of_another_purpose_forbids_no_promotion(session: Session, address: Address) -> None:
    matter = Matter(address_id=address.id, purpose=Purpose.SERVICE, channel=Channel.EMAIL)
    record(session, Act.WITHDRAWN, matter, Origin(source="desk"), keys=KEYS, at=NOON)
    answered(session, NOON + timedelta(hours=1))
    assert seen(session).letters == 0


def test_older_stops_are_not_looked_at(session: Session, address: Address) -> None:
    an_event(session, Act.OPTED_OUT, address, at=NOON - timedelta(days=31))
    answered(session, NOON)
    assert seen(session).stops == 0


def test_two_stops_of_one_person_make_one_letter(session: Session, address: Address) -> None:
    for after in (0, 1):
        an_event(session, Act.OPTED_OUT, address, at=NOON + after * SECOND)
    answered(session, NOON + 5 * SECOND)
    found = seen(session)
    assert (found.stops, found.letters, found.last_after) == (2, 1, 5 * SECOND)


def test_a_letter_of_a_mailing_that_had_finished_before_the_stop_is_none_of_them(
    session: Session, mailing: Mailing, address: Address
) -> None:
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON + timedelta(hours=1))
    mailing.state, mailing.ended_at = MailingState.FINISHED, NOON - timedelta(days=2)
    session.flush()
    assert seen(session).letters == 0
    mailing.ended_at = NOON + timedelta(hours=1)
    session.flush()
    assert seen(session).letters == 1


def test_one_that_was_stopped_before_is(
    session: Session, mailing: Mailing, address: Address
) -> None:
    mailing.state, mailing.ended_at = MailingState.STOPPED, NOON - SECOND
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON + timedelta(hours=1))
    assert seen(session).proved > timedelta()


def test_thirty_days_are_looked_at_once_a_minute(session: Session, address: Address) -> None:
    moment = 0.0

    def looked() -> int:
        return long_gap(session, at=NOON, now_s=lambda: moment).stops

    assert looked() == 0
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    assert looked() == 0
    moment += REMEMBERED_S
    assert looked() == 1


def test_a_letter_of_an_older_turn_left_before_the_stop_whenever_it_was_answered(
    session: Session, address: Address
) -> None:
    stop = an_event(session, Act.OPTED_OUT, address, at=NOON)
    turn = passed(session, stop)
    late = PATIENCE + timedelta(hours=1)
    answered(session, NOON + late, turn=turn - 1)
    assert seen(session) == Gap(stops=1, letters=1, last_after=late, unproved=0, proved=timedelta())


@pytest.mark.parametrize("state", [DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN])
def test_a_letter_of_the_stops_turn_left_after_it_however_soon(
    session: Session, address: Address, state: DeliveryState
) -> None:
    stop = an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON + SECOND, state, turn=passed(session, stop))
    assert seen(session).proved == SECOND


def test_no_clock_hides_a_letter_that_left_after_a_stop(session: Session, address: Address) -> None:
    stop = an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON - timedelta(hours=1), turn=passed(session, stop))
    assert seen(session).proved > timedelta()
    assert seen(session).letters == 0


def test_a_letter_by_a_newer_confirmation_is_lawful_whatever_the_clocks_say(
    session: Session, address: Address
) -> None:
    stop = an_event(session, Act.OPTED_OUT, address, at=NOON)
    turn = passed(session, stop)
    again = an_event(session, Act.CONFIRMED, address, at=NOON + timedelta(minutes=1))
    answered(session, NOON + SECOND, turn=turn, event_id=again.id)
    assert seen(session) == Gap(stops=1, **NOTHING)


def test_the_confirmation_that_the_stop_had_ended_excuses_no_letter(
    session: Session, address: Address
) -> None:
    before = session.scalars(select(ConsentEvent.id).where(ConsentEvent.act == Act.CONFIRMED)).one()
    stop = an_event(session, Act.OPTED_OUT, address, at=NOON)
    turn = passed(session, stop)
    an_event(session, Act.CONFIRMED, address, at=NOON + SECOND)
    answered(session, NOON + 2 * SECOND, turn=turn, event_id=before)
    assert seen(session).proved == 2 * SECOND


def test_a_stop_has_one_turn_however_often_it_passes(session: Session, address: Address) -> None:
    stop = an_event(session, Act.OPTED_OUT, address, at=NOON)
    assert passed(session, stop) == passed(session, stop)


def test_what_is_not_a_stop_of_anybody_takes_no_turn(session: Session, address: Address) -> None:
    assert gate.barrier(session)
    assert session.scalars(select(Barrier)).all() == []


def test_what_a_clock_that_jumped_explains_is_not_proved(
    session: Session, address: Address
) -> None:
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    answered(session, NOON + timedelta(hours=1) + PATIENCE)
    assert seen(session).proved == timedelta(hours=1)
    mishaps.count(session, Mishap.CLOCK_JUMPED, at=NOON - timedelta(days=9), lasted_s=7200)
    assert seen(session).proved == timedelta(hours=1)
    mishaps.count(session, Mishap.CLOCK_JUMPED, at=NOON, lasted_s=3590)
    found = seen(session)
    assert (found.last_after, found.proved) == (timedelta(hours=1) + PATIENCE, 10 * SECOND)
