"""What the senders do with paces, quiet hours, caps, rests and refusals; over a real wire."""

from collections import Counter
from collections.abc import Callable
from datetime import time as clock_time
from datetime import timedelta
from math import inf

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.consent.models import AddressStanding
from crm.consent.rules import Purpose, Reason
from crm.contacts.models import Address, ContactAddress
from crm.delivery import probe, refusals, service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Delivery, Mailing, Outcome, Retry
from crm.delivery.pacing_models import ProviderManners
from crm.delivery.rest import rests
from crm.delivery.states import DeliveryState, MailingState
from crm.delivery.vigil import FIRST, NOBODY_THERE, PROBE_PAUSE, UNWANTED
from crm.mail import verp
from crm.mail.refusal import Refusal
from devtools.catcher import Sink
from tests.conftest import NOON, Time
from tests.factories import (
    KEYS,
    a_running_mailing,
    a_willing_contact,
    email_of,
    many_willing_contacts,
)

Make = Callable[..., Sender]
pytestmark = pytest.mark.usefixtures("clinic", "time")


def run(sender: Sender) -> None:
    while sender.work():
        pass


def outcomes(session: Session, mailing: Mailing) -> Counter[tuple[DeliveryState, Reason | None]]:
    session.rollback()
    found = session.execute(
        select(Outcome.state, Outcome.reason).where(Outcome.mailing_id == mailing.id)
    ).all()
    return Counter((state, reason) for state, reason in found)


def test_in_quiet_hours_nothing_leaves_and_all_of_it_when_they_end(
    session: Session, sink: Sink, a_sender: Make, time: Time
) -> None:
    clinic = details(session)
    clinic.zone, clinic.quiet_from, clinic.quiet_until = "UTC", clock_time(12), clock_time(13)
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender())
    assert service.tally(session, mailing.id).queued == 1
    session.rollback()
    time.moves_to(NOON + timedelta(hours=1))
    run(a_sender())
    assert service.tally(session, mailing.id).accepted == 1


def test_a_limit_at_one_provider_holds_up_no_other(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    for number in range(10):
        a_willing_contact(session, email=f"person{number}@gmail.com")
        a_willing_contact(session, email=f"person{number}@firm.example")
    session.execute(
        update(Address).where(Address.value.like("%@gmail.com")).values(provider="gmail")
    )
    session.add(
        ProviderManners(name="gmail", per_hour=60, target_per_hour=60, connections=5, warm_up=False)
    )
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender())
    sent = Counter(letter.rcpt.rpartition("@")[2] for letter in sink.messages())
    assert sent == {"gmail.com": 1, "firm.example": 10}
    assert service.tally(session, mailing.id).queued == 9


def test_a_limit_of_all_other_domains_together_holds_up_no_provider(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    for number in range(5):
        a_willing_contact(session, email=f"person{number}@gmail.com")
        a_willing_contact(session, email=f"person{number}@firm{number}.example")
    session.execute(
        update(Address).where(Address.value.like("%@gmail.com")).values(provider="gmail")
    )
    session.add(
        ProviderManners(name="other", per_hour=60, target_per_hour=60, connections=0, warm_up=False)
    )
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender())
    sent = Counter(letter.rcpt.endswith("@gmail.com") for letter in sink.messages())
    assert sent == {True: 5, False: 1}
    assert service.tally(session, mailing.id).queued == 4


def test_without_a_limit_of_their_own_the_other_domains_have_as_many_lines_as_there_are(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    session.add(
        ProviderManners(name="other", per_hour=200, target_per_hour=0, connections=0, warm_up=False)
    )
    many_willing_contacts(session, 40)
    mailing = a_running_mailing(session)
    session.commit()
    sender = a_sender()
    run(sender)
    assert service.tally(session, mailing.id).accepted == 40
    assert sender.allowance.connections("other") == inf


def test_an_address_gets_one_promotion_a_day(
    session: Session, sink: Sink, a_sender: Make, time: Time
) -> None:
    details(session).one_a_day = True
    for _ in range(3):
        a_willing_contact(session)
    first, second = a_running_mailing(session), a_running_mailing(session)
    correction = a_running_mailing(session)
    correction.uncapped = True
    session.commit()
    run(a_sender())
    assert outcomes(session, first) == {(DeliveryState.ACCEPTED, None): 3}
    assert outcomes(session, second) == {(DeliveryState.WITHHELD, Reason.FREQUENCY_CAP): 3}
    assert outcomes(session, correction) == {(DeliveryState.ACCEPTED, None): 3}


def test_whoever_has_agreed_at_two_addresses_gets_one_letter_a_day(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    details(session).one_a_day = True
    anna = a_willing_contact(session, email="anna@home.example")
    work = a_willing_contact(session, email="anna@work.example")
    link = session.scalars(select(ContactAddress).where(ContactAddress.contact_id == work.id)).one()
    link.contact_id = anna.id
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender())
    assert len(sink.messages()) == 1
    assert outcomes(session, mailing) == {
        (DeliveryState.ACCEPTED, None): 1,
        (DeliveryState.WITHHELD, Reason.FREQUENCY_CAP): 1,
    }


def test_a_letter_tried_again_another_day_is_not_barred_by_its_first_try(
    session: Session, sink: Sink, a_sender: Make, time: Time
) -> None:
    clinic = details(session)
    clinic.one_a_day, clinic.cap_per_month = True, 1
    a_willing_contact(session, email="later451.anna@mail.example")
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender())
    time.moves_to(NOON + timedelta(days=1))
    run(a_sender())
    assert outcomes(session, mailing) == {}
    assert session.scalars(select(Retry.tries)).one() == 2


def test_an_address_that_does_not_exist_gets_nothing_more(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    contact = a_willing_contact(session, email="reject550.anna@mail.example")
    first = a_running_mailing(session)
    session.commit()
    run(a_sender())
    assert outcomes(session, first) == {(DeliveryState.FAILED, None): 1}
    standings = session.scalars(
        select(AddressStanding).where(AddressStanding.address_id == email_of(session, contact).id)
    ).all()
    stopped = {one.purpose for one in standings if one.bounced_at is not None}
    assert stopped == set(Purpose), "reminders too"
    assert a_running_mailing(session).planned == 0


def test_a_mailing_refused_by_policy_again_and_again_waits_for_a_person(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    for number in range(20):
        a_willing_contact(session, email=f"refuse554.{number}@mail.example")
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender(size=2))
    session.rollback()
    held = session.get_one(Mailing, mailing.id)
    assert held.state is MailingState.HELD
    assert held.held_because == UNWANTED
    tally = service.tally(session, mailing.id)
    assert 3 <= tally.failed < 20
    assert tally.queued == 20 - tally.failed


@pytest.mark.parametrize(
    ("refused", "each", "why"), [("reject550", 5, NOBODY_THERE), ("refuse554", 3, UNWANTED)]
)
def test_what_two_senders_saw_of_the_first_letters_counts_together(
    session: Session,
    sink: Sink,
    a_sender: Make,
    time: Time,
    refused: str,
    each: int,
    why: str,
) -> None:
    """Neither has seen enough by itself: no policy refusal follows another, too."""
    for number in range(40):
        fault = f"{refused}." if number % 2 and number % 10 < 2 * each else ""
        a_willing_contact(session, email=f"{fault}person{number}@mail.example")
    mailing = a_running_mailing(session)
    mailing.per_minute = 300
    session.commit()
    run(a_sender(size=1))
    session.rollback()
    assert session.get_one(Mailing, mailing.id).state is MailingState.RUNNING
    session.rollback()
    time.moves_to(NOON + timedelta(minutes=1))
    run(a_sender(size=1))
    session.rollback()
    held = session.get_one(Mailing, mailing.id)
    assert (held.state, held.held_because) == (MailingState.HELD, why)
    service.resume(session, mailing.id)
    session.commit()
    time.moves_to(NOON + timedelta(minutes=2))
    run(a_sender(size=1))
    session.rollback()
    assert session.get_one(Mailing, mailing.id).state is MailingState.RUNNING, "once is enough"


def test_refusals_because_of_us_are_counted_with_their_last_words(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    a_willing_contact(session, email="refuse554.anna@mail.example")
    a_willing_contact(session, email="reject550.boris@mail.example")
    a_willing_contact(session, email="vera@mail.example")
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender(size=1))
    session.rollback()
    [told] = refusals.about_us(session, mailing.id)
    failed = session.scalars(select(Outcome).where(Outcome.refusal == Refusal.POLICY)).one()
    assert (told.provider, told.refusal, told.letters) == ("other", Refusal.POLICY, 1)
    assert told.reply == failed.reply
    assert refusals.about_us_since(session, NOON.date()) == 1
    assert refusals.about_us_since(session, NOON.date() + timedelta(days=1)) == 0


def test_a_destination_that_says_too_much_rests_and_the_others_go_on(
    session: Session, sink: Sink, a_sender: Make, time: Time
) -> None:
    a_willing_contact(session, email="later455.anna@busy.example")
    for number in range(3):
        a_willing_contact(session, email=f"person{number}@firm.example")
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender(size=1))
    assert service.tally(session, mailing.id).accepted == 3
    assert "domain:busy.example" in rests(session)
    a_willing_contact(session, email="boris@busy.example")
    later = a_running_mailing(session)
    session.commit()
    time.moves_to(NOON + timedelta(minutes=1))
    run(a_sender())
    waiting = session.scalars(select(Retry.tries).where(Retry.mailing_id == later.id)).all()
    assert waiting == [0, 0], "nobody there was tried"


def test_behind_a_smart_host_the_first_letters_go_and_their_bounces_are_waited_for(
    session: Session, sink: Sink, a_sender: Make, time: Time
) -> None:
    details(session).smart_host = True
    many_willing_contacts(session, FIRST + 50)
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender())
    assert service.tally(session, mailing.id).accepted == FIRST
    assert probe.begin(session, at=NOON) == [mailing.id]
    session.commit()
    run(a_sender())
    assert service.tally(session, mailing.id).queued == 50
    time.moves_to(NOON + PROBE_PAUSE)
    probe.judge(session, at=NOON + PROBE_PAUSE)
    session.commit()
    run(a_sender())
    assert service.tally(session, mailing.id).accepted == FIRST + 50


def test_behind_a_smart_host_many_bounces_hold_the_mailing(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    details(session).smart_host = True
    many_willing_contacts(session, FIRST + 50)
    mailing = a_running_mailing(session)
    session.commit()
    run(a_sender())
    probe.begin(session, at=NOON)
    reached = session.scalars(select(Delivery).where(Delivery.mailing_id == mailing.id)).all()[:10]
    for delivery in reached:
        refusals.bounced(session, delivery.id, reply="5.1.1 no such user", keys=KEYS, at=NOON)
    session.commit()
    probe.judge(session, at=NOON + PROBE_PAUSE)
    session.commit()
    held = session.get_one(Mailing, mailing.id)
    assert (held.state, held.held_because) == (MailingState.HELD, NOBODY_THERE)


def test_each_letter_has_a_return_path_of_its_own(
    session: Session, sink: Sink, a_sender: Make
) -> None:
    for _ in range(2):
        a_willing_contact(session)
    mailing = a_running_mailing(session)
    mailing.envelope = mailing.envelope | {"bounce_domain": "bounce.clinic.example"}
    session.commit()
    run(a_sender())
    paths = {letter.sender for letter in sink.messages()}
    known = {verp.read(path, keys=KEYS) for path in paths}
    assert len(paths) == 2
    assert known == set(session.scalars(select(Delivery.id)))
