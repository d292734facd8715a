"""Letters sent again, over a real wire: consent is looked at once more, yesterday's cap is not."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.consent.rules import Act, Reason
from crm.contacts.models import Address
from crm.delivery import close, service
from crm.delivery.books import unbalanced
from crm.delivery.dispatch import Sender
from crm.delivery.models import Mailing
from crm.delivery.resend import resend
from crm.delivery.states import DeliveryState, MailingState
from crm.errors import WrongState
from devtools.catcher import Sink
from tests.conftest import NOON
from tests.crm.campaigns import deliveries, ended
from tests.factories import a_member_of_staff, a_running_mailing, a_willing_contact, an_event

pytestmark = pytest.mark.usefixtures("clinic", "time")


def test_whoever_refused_meanwhile_gets_nothing_and_the_others_get_it_the_same_day(
    session: Session, sink: Sink, a_sender: Callable[..., Sender]
) -> None:
    details(session).one_a_day = True
    emails = [f"one{number}@mail.example" for number in range(3)]
    for email in emails:
        a_willing_contact(session, email=email)
    mailing = a_running_mailing(session)
    letters = deliveries(session, mailing.id)
    for letter in letters:
        ended(session, letter, DeliveryState.UNCERTAIN)
    refused = session.get_one(Address, letters[0].address_id)
    an_event(session, Act.OPTED_OUT, refused, at=NOON + timedelta(seconds=1))
    staff = a_member_of_staff(session, "marketer")
    again = resend(session, mailing, None, by=staff.id, at=NOON)
    assert again is not None
    again_id = again.id
    session.commit()

    sender = a_sender()
    while sender.work():
        pass

    session.rollback()
    tally = service.tally(session, again_id)
    assert (tally.planned, tally.accepted, tally.reasons) == (3, 2, {Reason.OPTED_OUT: 1})
    assert {letter.rcpt for letter in sink.messages()} == set(emails) - {refused.value}
    assert unbalanced(session) == (2, [])


@pytest.fixture
def doubted(session: Session) -> Mailing:
    """A finished mailing with six uncertain letters."""
    for number in range(6):
        a_willing_contact(session, email=f"one{number}@mail.example")
    mailing = a_running_mailing(session)
    for letter in deliveries(session, mailing.id):
        ended(session, letter, DeliveryState.UNCERTAIN)
    return mailing


def test_stopping_a_mailing_stops_what_sends_its_letters_again(
    session: Session, sink: Sink, a_sender: Callable[..., Sender], doubted: Mailing
) -> None:
    by = a_member_of_staff(session, "marketer").id
    first, second, *_others = (one.id for one in deliveries(session, doubted.id))
    again = resend(session, doubted, [first, second], by=by, at=NOON)
    assert again is not None
    session.commit()
    for letter in deliveries(session, again.id):
        ended(session, letter, DeliveryState.UNCERTAIN)
    once_more = resend(session, again, None, by=by, at=NOON)
    another = resend(session, doubted, None, by=by, at=NOON)
    assert once_more is not None
    assert another is not None
    stopped = [doubted.id, again.id, once_more.id, another.id]
    assert service.stop(session, doubted.id, at=NOON) == stopped
    session.commit()

    sender = a_sender()
    while sender.work():
        pass
    while close.wind_down(session, at=NOON):
        session.commit()

    assert sink.messages() == []
    assert service.tally(session, another.id).reasons == {Reason.STOPPED: 4}
    assert service.tally(session, once_more.id).reasons == {Reason.STOPPED: 2}
    assert unbalanced(session) == (4, [])


def test_stopping_what_is_sent_again_stops_neither_the_first_nor_another(
    session: Session, doubted: Mailing
) -> None:
    by = a_member_of_staff(session, "marketer").id
    first = deliveries(session, doubted.id)[0]
    again = resend(session, doubted, [first.id], by=by, at=NOON)
    another = resend(session, doubted, None, by=by, at=NOON)
    assert again is not None
    assert another is not None
    assert service.stop(session, again.id, at=NOON) == [again.id]
    session.commit()
    assert (doubted.state, another.state) == (MailingState.RUNNING, MailingState.RUNNING)


def test_what_has_finished_stays_finished_and_is_not_sent_again_after_a_stop(
    session: Session, doubted: Mailing
) -> None:
    by = a_member_of_staff(session, "marketer").id
    again = resend(session, doubted, None, by=by, at=NOON)
    assert again is not None
    session.commit()
    for letter in deliveries(session, again.id):
        ended(session, letter, DeliveryState.UNCERTAIN)
    again.state = MailingState.FINISHED
    session.commit()
    assert service.stop(session, doubted.id, at=NOON) == [doubted.id]
    session.commit()
    assert again.state is MailingState.FINISHED
    for mailing in (doubted, again):
        with pytest.raises(WrongState):
            resend(session, mailing, None, by=by, at=NOON)
        session.rollback()


def test_a_stop_waits_for_whoever_is_sending_again_and_stops_that_too(
    session: Session, database: str, doubted: Mailing
) -> None:
    by = a_member_of_staff(session, "marketer").id
    doubted_id = doubted.id
    session.commit()
    engine = create_engine(database)
    stopped: list[list[int]] = []

    def stop() -> None:
        with Session(engine) as other:
            stopped.append(service.stop(other, doubted_id, at=NOON))
            other.commit()

    with Session(engine) as first:
        again = resend(first, first.get_one(Mailing, doubted_id), None, by=by, at=NOON)
        assert again is not None
        again_id = again.id
        stopping = threading.Thread(target=stop)
        stopping.start()
        stopping.join(0.5)
        assert stopping.is_alive(), "it cannot know yet what it has to stop"
        first.commit()
    stopping.join(10)
    engine.dispose()
    assert stopped == [[doubted_id, again_id]]
