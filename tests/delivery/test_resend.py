"""Letters sent again, over a real wire: consent is looked at once more, yesterday's cap is not."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.consent.rules import Act, Reason
from crm.contacts.models import Address
from crm.delivery import service
from crm.delivery.books import unbalanced
from crm.delivery.dispatch import Sender
from crm.delivery.resend import resend
from crm.delivery.states import DeliveryState
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
