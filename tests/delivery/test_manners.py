"""What refusals leave in the database: counts, a stop for an address, a pace for tomorrow."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.consent.ledger import standing_of
from crm.consent.models import AddressStanding, ConsentEvent, Suppression
from crm.consent.rules import Act, Bars, Purpose, Reason, refusal
from crm.contacts.models import Address
from crm.delivery.models import Delivery, Mailing, Outcome
from crm.delivery.pacing_models import ProviderManners
from crm.delivery.refusals import bounced, count, counted
from crm.delivery.rest import rest
from crm.delivery.states import DeliveryState, MailingState
from crm.delivery.waits import Wait, waits_for
from crm.delivery.warm_up import advance
from crm.mail.refusal import Refusal
from tests.delivery.limits import drain, manners, relay
from tests.factories import (
    KEYS,
    NOON,
    a_clinic,
    a_running_mailing,
    a_willing_contact,
    an_event,
    email_of,
)

TOMORROW = NOON + timedelta(days=1)


@pytest.fixture
def mailing(session: Session) -> Mailing:
    """To one person at Gmail and one elsewhere."""
    a_clinic(session).letters_per_minute = 0
    for email in ("anna@gmail.com", "boris@firm.example"):
        address = email_of(session, a_willing_contact(session, email=email))
        address.provider = "gmail" if "gmail" in email else "other"
    session.flush()
    return a_running_mailing(session)


def letter_to(session: Session, provider: str) -> Delivery:
    return session.scalars(select(Delivery).where(Delivery.provider == provider)).one()


def test_an_address_that_does_not_exist_gets_nothing_any_more(
    session: Session, mailing: Mailing
) -> None:
    letter = letter_to(session, "gmail")
    for _ in range(2):
        bounced(session, letter.id, reply="550 5.1.1 no such user", keys=KEYS, at=TOMORROW)
    for purpose in Purpose:
        row = session.scalars(
            select(AddressStanding).filter_by(address_id=letter.address_id, purpose=purpose)
        ).one()
        why = refusal(purpose, standing_of(row), Bars(), at=TOMORROW)
        assert why is Reason.BOUNCED
    listed = session.scalars(select(Suppression.purpose))
    assert set(listed) == set(Purpose)
    event = session.scalars(select(ConsentEvent).where(ConsentEvent.act == Act.BOUNCED)).first()
    assert event is not None
    assert (event.delivery_id, event.source) == (letter.id, "bounce")


def test_refusals_are_added_up_by_provider_and_kind(session: Session, mailing: Mailing) -> None:
    count(session, mailing.id, "gmail", {}, replies={}, at=NOON)
    count(session, mailing.id, "gmail", {Refusal.POLICY: 2}, replies={}, at=NOON)
    count(session, mailing.id, "gmail", {Refusal.POLICY: 3}, replies={}, at=TOMORROW)
    count(session, mailing.id, "other", {Refusal.GREYLISTED: 1}, replies={}, at=TOMORROW)
    assert counted(session, mailing.id) == {
        ("gmail", Refusal.POLICY): 5,
        ("other", Refusal.GREYLISTED): 1,
    }


def warming(session: Session) -> ProviderManners:
    session.add(
        ProviderManners(name="gmail", per_hour=2, target_per_hour=3600, connections=3, warm_up=True)
    )
    session.flush()
    return session.get_one(ProviderManners, "gmail")


def accept(session: Session, mailing: Mailing, letter: Delivery) -> None:
    session.add(
        Outcome(
            delivery_id=letter.id,
            mailing_id=mailing.id,
            state=DeliveryState.ACCEPTED,
            at=NOON,
        )
    )
    session.flush()


def test_a_good_day_doubles_the_pace_once(session: Session, mailing: Mailing) -> None:
    gmail = warming(session)
    accept(session, mailing, letter_to(session, "gmail"))
    advance(session, at=TOMORROW)
    assert (gmail.per_hour, gmail.warmed_on) == (4, TOMORROW.date())
    advance(session, at=TOMORROW + timedelta(hours=3))
    assert gmail.per_hour == 4


@pytest.mark.parametrize(
    ("refused", "following"), [(Refusal.POLICY, 500), (Refusal.GREYLISTED, 1000)]
)
def test_a_day_of_policy_halves_the_pace_and_greylisting_tells_nothing(
    session: Session, mailing: Mailing, refused: Refusal, following: int
) -> None:
    gmail = warming(session)
    gmail.per_hour = 1000
    count(session, mailing.id, "gmail", {refused: 600}, replies={}, at=NOON)
    advance(session, at=TOMORROW)
    assert gmail.per_hour == following


def test_a_complaint_keeps_the_pace_down(session: Session, mailing: Mailing) -> None:
    gmail = warming(session)
    letter = letter_to(session, "gmail")
    accept(session, mailing, letter)
    address = session.get_one(Address, letter.address_id)
    an_event(session, Act.COMPLAINED, address, at=NOON + timedelta(hours=1))
    advance(session, at=TOMORROW)
    assert gmail.per_hour == 2


def test_a_day_on_which_nobody_wrote_changes_nothing(session: Session, mailing: Mailing) -> None:
    gmail = warming(session)
    advance(session, at=TOMORROW)
    assert gmail.per_hour == 2


def test_a_mailing_that_goes_as_fast_as_it_can_waits_for_nothing(
    session: Session, mailing: Mailing
) -> None:
    a_clinic(session).quiet_from = a_clinic(session).quiet_until
    assert waits_for(session, mailing, at=NOON) is None
    mailing.state = MailingState.PAUSED
    rest(session, "relay", because="421", at=NOON)
    assert waits_for(session, mailing, at=NOON) is None


def waiting(session: Session, mailing: Mailing) -> tuple[Wait, str | None]:
    found = waits_for(session, mailing, at=NOON)
    assert found is not None
    return found.kind, found.provider


def test_it_waits_for_what_holds_it_up_most(session: Session, mailing: Mailing) -> None:
    clinic = a_clinic(session)
    clinic.quiet_until = clinic.quiet_from
    manners(session, "gmail", 600)
    manners(session, "mailru", 60)
    drain(session, provider="mailru")
    assert waits_for(session, mailing, at=NOON) is None
    drain(session, provider="gmail")
    assert waiting(session, mailing) == (Wait.PROVIDER_PACE, "gmail")
    gmail = session.get_one(ProviderManners, "gmail")
    gmail.warm_up = True
    assert waiting(session, mailing) == (Wait.WARM_UP, "gmail")
    mailing.per_minute = 10
    session.flush()
    drain(session, mailing_id=mailing.id)
    assert waiting(session, mailing) == (Wait.MAILING_PACE, None)
    relay(session, 60)
    drain(session)
    assert waiting(session, mailing) == (Wait.RELAY_PACE, None)
    rest(session, "provider:gmail", because="421", at=NOON)
    assert waiting(session, mailing) == (Wait.PROVIDER_REST, "gmail")
    rest(session, "relay", because="421", at=NOON)
    assert waiting(session, mailing) == (Wait.RELAY_REST, None)
    clinic.quiet_from, clinic.quiet_until = NOON.time(), (NOON + timedelta(hours=9)).time()
    assert waiting(session, mailing)[0] is Wait.QUIET_HOURS
