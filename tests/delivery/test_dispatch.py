"""From a launched mailing to settled outcomes, over a real wire."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.consent.rules import Act, Reason
from crm.contacts.models import ContactAddress
from crm.delivery import close, service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Delivery, Mailing, Outcome, Range, Retry
from crm.delivery.rules import AFTER_LOSS, WINDOW
from crm.delivery.states import DeliveryState, Lane, MailingState
from devtools.catcher import Sink
from tests.conftest import NOON, Time
from tests.factories import (
    ENVELOPE,
    a_contact,
    a_promotion,
    a_running_mailing,
    a_willing_contact,
    an_event,
    email_of,
    many_willing_contacts,
)

Make = Callable[..., Sender]
pytestmark = pytest.mark.usefixtures("clinic", "time")


def outcomes(session: Session) -> Counter[tuple[DeliveryState, Reason | None]]:
    session.rollback()
    found = session.execute(select(Outcome.state, Outcome.reason)).all()
    return Counter((state, reason) for state, reason in found)


def run(sender: Sender) -> None:
    while sender.work():
        pass


def test_everybody_willing_gets_one_letter(session: Session, sink: Sink, a_sender: Make) -> None:
    for _ in range(20):
        a_willing_contact(session)
    a_contact(session)
    mailing = a_running_mailing(session)
    session.commit()

    run(a_sender())

    tally = service.tally(session, mailing.id)
    assert (tally.planned, tally.accepted, tally.queued, tally.sending) == (20, 20, 0, 0)
    letters = sink.messages()
    assert len({letter.rcpt for letter in letters}) == len(letters) == 20
    raw = letters[0].raw
    assert b"List-Unsubscribe: <https://crm.clinic.example/u/" in raw
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw


def test_each_accepted_letter_names_the_consent_that_allowed_it(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    contact = a_willing_contact(session)
    confirmed = an_event(
        session, Act.CONFIRMED, email_of(session, contact), at=NOON + timedelta(seconds=1)
    )
    a_running_mailing(session)
    session.commit()
    run(a_sender())
    session.rollback()
    assert session.scalars(select(Outcome.event_id)).all() == [confirmed.id]


def test_who_opts_out_after_the_launch_is_withheld_with_the_event_that_decided(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    a_willing_contact(session)
    leaver = a_willing_contact(session)
    mailing = a_running_mailing(session)
    stop = an_event(
        session, Act.OPTED_OUT, email_of(session, leaver), at=NOON + timedelta(minutes=1)
    )
    session.commit()

    run(a_sender())

    assert service.tally(session, mailing.id).reasons == {Reason.OPTED_OUT: 1}
    withheld = session.scalars(select(Outcome).where(Outcome.state == DeliveryState.WITHHELD)).one()
    assert withheld.event_id == stop.id
    assert len(sink.messages()) == 1


def test_behind_a_shared_mailbox_one_stop_stops_both(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    mother = a_willing_contact(session, email="family@mail.example")
    child = a_contact(session, email="family@mail.example", first_name="Пётр")
    shared = email_of(session, mother)
    assert email_of(session, child).id == shared.id
    mailing = a_running_mailing(session)
    an_event(session, Act.OPTED_OUT, shared, at=NOON + timedelta(minutes=1))
    session.commit()
    run(a_sender())
    assert service.tally(session, mailing.id).planned == 1
    assert sink.messages() == []


def test_a_shared_mailbox_gets_one_letter(session: Session, sink: Sink, a_sender: Make) -> None:
    a_willing_contact(session, email="family@mail.example", first_name="Анна")
    a_contact(session, email="family@mail.example", first_name="Пётр")
    assert len(session.scalars(select(ContactAddress)).all()) == 2
    a_running_mailing(session)
    session.commit()
    run(a_sender())
    assert [letter.rcpt for letter in sink.messages()] == ["family@mail.example"]


@pytest.mark.parametrize(
    ("local", "state"),
    [
        ("reject550.anna", DeliveryState.FAILED),
        ("refuse554.anna", DeliveryState.FAILED),
        ("vanish.anna", DeliveryState.UNCERTAIN),
    ],
)
def test_a_fault_at_the_relay_ends_as_what_it_is(
    session: Session, sink: Sink, a_sender: Make, local: str, state: DeliveryState
) -> None:
    a_willing_contact(session, email=f"{local}@mail.example")
    a_willing_contact(session)
    a_running_mailing(session)
    session.commit()
    run(a_sender())
    assert outcomes(session) == {(state, None): 1, (DeliveryState.ACCEPTED, None): 1}


def test_a_temporary_refusal_waits_its_turn_and_goes_out_later(
    session: Session, sink: Sink, a_sender: Make, time: Time
) -> None:
    a_willing_contact(session, email="later451.anna@mail.example")
    mailing = a_running_mailing(session)
    session.commit()
    sender = a_sender()
    run(sender)
    retry = session.scalars(select(Retry)).one()
    assert (retry.tries, retry.due_at) == (1, NOON + timedelta(minutes=15))
    assert service.tally(session, mailing.id).queued == 1
    for wait in (timedelta(minutes=15), timedelta(hours=2), timedelta(hours=7), timedelta(days=1)):
        time.moves_to(NOON + wait)
        run(sender)
    assert outcomes(session) == {(DeliveryState.FAILED, None): 1}


def test_a_service_letter_in_doubt_is_tried_once_more_with_the_same_message_id(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    contact = a_contact(session, email="vanish.anna@mail.example")
    letter = a_promotion().bind({"unsubscribe_url": "https://crm.clinic.example/u/x"})
    service.send_one(
        session,
        letter,
        ENVELOPE,
        address=email_of(session, contact),
        contact_id=contact.id,
        at=NOON,
    )
    session.commit()
    run(a_sender(Lane.SERVICE))
    assert outcomes(session) == {(DeliveryState.UNCERTAIN, None): 1}
    ids = [
        next(line for line in letter.raw.split(b"\r\n") if line.startswith(b"Message-ID:"))
        for letter in sink.messages()
    ]
    assert len(ids) == 2
    assert len(set(ids)) == 1


NOBODY = "smtp://127.0.0.1:9?starttls=never"


def test_a_relay_that_is_away_costs_nothing_but_time(
    session: Session, a_sender: Make, sink: Sink, time: Time
) -> None:
    for _ in range(20):
        a_willing_contact(session)
    mailing = a_running_mailing(session)
    session.commit()
    stranded = a_sender(smtp_url=NOBODY)
    assert stranded.work() is True
    assert stranded.work() is False, "it rests"
    tally = service.tally(session, mailing.id)
    assert (tally.queued, tally.planned) == (20, 20)
    session.rollback()
    time.moves_to(NOON + AFTER_LOSS)
    run(a_sender())
    assert service.tally(session, mailing.id).accepted == 20


def test_where_the_preferred_relay_is_away_the_next_one_takes_over(
    session: Session, a_sender: Make, sink: Sink, time: Time
) -> None:
    for _ in range(20):
        a_willing_contact(session)
    mailing = a_running_mailing(session)
    session.commit()
    sender = a_sender(smtp_url=f"{NOBODY} {sink.url}")
    run(sender)
    time.moves_to(NOON + AFTER_LOSS)
    run(sender)
    assert service.tally(session, mailing.id).accepted == 20


def test_a_stopped_mailing_is_wound_down_and_counted(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    for _ in range(10):
        a_willing_contact(session)
    mailing = a_running_mailing(session)
    session.commit()
    service.stop(session, mailing.id, at=NOON)
    session.commit()
    run(a_sender())
    while close.wind_down(session, at=NOON):
        session.commit()
    tally = service.tally(session, mailing.id)
    assert (tally.withheld, tally.reasons) == (10, {Reason.STOPPED: 10})
    assert sink.messages() == []


def test_a_paused_mailing_sends_nothing_and_all_of_it_once_resumed(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    for _ in range(10):
        a_willing_contact(session)
    mailing = a_running_mailing(session)
    service.pause(session, mailing.id)
    session.commit()
    sender = a_sender()
    run(sender)
    assert service.tally(session, mailing.id).queued == 10
    service.resume(session, mailing.id)
    session.commit()
    run(sender)
    session.rollback()
    assert close.finish(session, at=NOON) == [mailing.id]
    session.commit()
    assert session.get_one(Mailing, mailing.id).state is MailingState.FINISHED
    assert len(sink.messages()) == 10


@pytest.mark.parametrize(("cuts", "pieces"), [(24, [1, WINDOW, WINDOW]), (1, [2 * WINDOW + 1])])
def test_a_mailing_is_cut_so_that_several_senders_share_it(
    session: Session, monkeypatch: pytest.MonkeyPatch, cuts: int, pieces: list[int]
) -> None:
    monkeypatch.setattr(service, "RANGES", cuts)
    many_willing_contacts(session, 2 * WINDOW + 1)
    mailing = a_running_mailing(session)
    ranges = session.scalars(select(Range.waiting).where(Range.mailing_id == mailing.id))
    assert sorted(ranges) == pieces


@pytest.mark.parametrize("because", [None, "Somebody has complained."])
def test_a_mailing_at_rest_closes_once_nothing_of_it_is_left_and_not_before(
    session: Session, sink: Sink, a_sender: Make, because: str | None
) -> None:
    for _ in range(3):
        a_willing_contact(session)
    mailing = a_running_mailing(session)

    def rest() -> MailingState:
        if because:
            service.hold(session, mailing.id, because)
        else:
            service.pause(session, mailing.id)
        session.commit()
        session.refresh(mailing)
        return mailing.state

    resting = rest()
    assert close.finish(session, at=NOON) == []
    assert mailing.state is resting
    service.resume(session, mailing.id)
    session.commit()
    run(a_sender())
    rest()
    assert close.finish(session, at=NOON) == [mailing.id]
    session.commit()
    assert (mailing.state, mailing.held_because) == (MailingState.FINISHED, because)
    assert mailing.ended_at == NOON
    assert mailing.certificate is not None
    assert mailing.certificate["accepted"] == 3


def test_a_mailing_reaches_an_address_once_by_the_schema_itself(session: Session) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    delivery = session.scalars(select(Delivery)).one()
    again = Delivery(
        mailing_id=mailing.id,
        address_id=delivery.address_id,
        contact_id=delivery.contact_id,
        provider="other",
    )
    session.add(again)
    with pytest.raises(Exception, match="uq_deliveries_mailing_id_address_id"):
        session.flush()
