"""What the rows prove of stops and letters: the order at the gate, as senders write it down."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.consent.models import AddressStanding, Suppression
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.tokens import Right, Unsubscribe, mint_unsubscribe, signer
from crm.contacts.models import Address
from crm.delivery.dispatch import Sender
from crm.delivery.models import Mailing, Outcome
from crm.operations.stop_gap import PATIENCE, Gap, gap
from devtools.catcher import Sink
from tests.conftest import NOON, Time
from tests.delivery.knocking import run
from tests.factories import a_running_mailing, a_willing_contact, an_event, email_of

Make = Callable[..., Sender]
pytestmark = pytest.mark.usefixtures("awake", "time")
MINUTE = timedelta(minutes=1)


def seen(session: Session) -> Gap:
    session.rollback()
    return gap(session, since=NOON - timedelta(days=1))


def turns(session: Session, mailing: Mailing) -> list[int | None]:
    session.rollback()
    return list(session.scalars(select(Outcome.turn).where(Outcome.mailing_id == mailing.id)))


@pytest.fixture
def address(session: Session) -> Address:
    return email_of(session, a_willing_contact(session, at=NOON - MINUTE))


def leave(client: FlaskClient, settings: Settings, address_id: int) -> None:
    by = signer(Right.UNSUBSCRIBE, settings.secret_keys)
    right = Unsubscribe(address_id, Purpose.MARKETING, Channel.EMAIL, None)
    token = mint_unsubscribe(by, right)
    answer = client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200


def forget_all_stops(session: Session) -> None:
    """What a fault in the rules, or a look that is too old, would come to."""
    session.execute(update(AddressStanding).values(opted_out_at=None))
    session.execute(update(Suppression).values(lifted_at=NOON))
    session.commit()


def test_a_letter_before_a_stop_is_proved_to_be_however_late_its_answer(
    session: Session,
    settings: Settings,
    sink: Sink,
    a_sender: Make,
    time: Time,
    client: FlaskClient,
    address: Address,
) -> None:
    mailing = a_running_mailing(session)
    session.commit()
    time.moves_to(NOON + 2 * PATIENCE)  # the clock of the sender is fast
    run(a_sender())
    time.moves_to(NOON)
    leave(client, settings, address.id)
    assert turns(session, mailing) == [0]
    found = seen(session)
    assert (found.stops, found.letters, found.unproved) == (1, 1, 0)
    assert not found.proved


@pytest.mark.parametrize("clock", [timedelta(), timedelta(hours=1), -timedelta(hours=1)])
def test_a_letter_after_a_stop_is_told_whatever_the_clocks_say(
    session: Session,
    settings: Settings,
    sink: Sink,
    a_sender: Make,
    time: Time,
    client: FlaskClient,
    address: Address,
    clock: timedelta,
) -> None:
    a_running_mailing(session)
    session.commit()
    leave(client, settings, address.id)
    forget_all_stops(session)
    time.moves_to(NOON + clock)
    run(a_sender())
    assert len(sink.messages()) == 1, "the promise is broken"
    assert seen(session).proved


def test_a_stop_without_which_the_letter_was_withheld_leaves_no_gap(
    session: Session,
    settings: Settings,
    sink: Sink,
    a_sender: Make,
    client: FlaskClient,
    address: Address,
) -> None:
    a_willing_contact(session, at=NOON - MINUTE)
    mailing = a_running_mailing(session)
    session.commit()
    leave(client, settings, address.id)
    run(a_sender())
    assert len(sink.messages()) == 1
    assert sorted(turn is None for turn in turns(session, mailing)) == [False, True]
    assert not seen(session).proved


def test_who_agrees_again_after_a_stop_is_written_to_without_a_gap(
    session: Session,
    settings: Settings,
    sink: Sink,
    a_sender: Make,
    time: Time,
    client: FlaskClient,
    address: Address,
) -> None:
    leave(client, settings, address.id)
    an_event(session, Act.CONFIRMED, address, at=NOON + MINUTE)
    a_running_mailing(session)
    session.commit()
    time.moves_to(NOON + MINUTE)
    run(a_sender())
    assert len(sink.messages()) == 1
    assert not seen(session).proved
