"""A service letter that cannot leave: tried for half a day, then failed with its reason."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.delivery import books, close, refusals, service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Mailing, Outcome
from crm.delivery.states import DeliveryState, Lane, MailingState
from crm.delivery.unprinted import UNPRINTABLE
from crm.mail.refusal import Refusal
from tests.conftest import NOON, Time
from tests.delivery.knocking import BUSY, STRANGER, Mood, a_service_letter, knocks, run, url_of
from tests.factories import a_running_mailing, a_willing_contact
from tests.mail.hostile import listening

Make = Callable[..., Sender]
pytestmark = pytest.mark.usefixtures("awake", "time")
TRIED_AFTER = (
    timedelta(0),
    timedelta(seconds=30),
    timedelta(minutes=15),
    timedelta(hours=4),
    timedelta(hours=12),
)


def a_broken_key(settings: Settings) -> Callable[[], None]:
    """Break the signing of every letter; return what mends it."""
    folder = settings.state_dir / "dkim" / "clinic.example"
    folder.mkdir(parents=True)
    key = folder / "s1.pem"
    key.write_bytes(b"no key")
    return key.unlink


@pytest.mark.parametrize("says", [BUSY, STRANGER], ids=["for now", "for good"])
def test_a_service_letter_that_no_relay_lets_in_fails_in_the_end_and_says_why(
    session: Session, a_sender: Make, time: Time, says: bytes
) -> None:
    sent = a_service_letter(session)
    at = NOON
    with listening(Mood(says)) as server:
        sender = a_sender(Lane.SERVICE, smtp_url=url_of(server))
        for number, pause in enumerate(TRIED_AFTER, 1):
            at += pause
            time.moves_to(at)
            run(sender)
            assert knocks(server) == number
    session.rollback()
    outcome = session.scalars(select(Outcome)).one()
    assert (outcome.state, outcome.code) == (DeliveryState.FAILED, int(says[:3]))
    assert outcome.reply is not None
    assert outcome.reply in says.decode()
    assert close.finish(session, at=at) == [sent.mailing_id]
    assert books.unbalanced(session) == (1, [])


def test_a_service_letter_goes_out_once_the_relay_knows_us(
    session: Session, a_sender: Make, time: Time
) -> None:
    sent = a_service_letter(session)
    relay = Mood(STRANGER)
    with listening(relay) as server:
        sender = a_sender(Lane.SERVICE, smtp_url=url_of(server))
        run(sender)
        session.rollback()
        assert refusals.about_us_since(session, NOON.date()) == 1
        assert session.get_one(Mailing, sent.mailing_id).state is MailingState.RUNNING
        session.rollback()
        relay.says = None
        time.moves_to(NOON + timedelta(seconds=30))
        run(sender)
    assert service.tally(session, sent.mailing_id).accepted == 1


def test_a_service_letter_that_cannot_be_signed_fails_in_the_end_and_says_why(
    session: Session, settings: Settings, a_sender: Make, time: Time
) -> None:
    sent, at = a_service_letter(session), NOON
    a_broken_key(settings)
    sender = a_sender(Lane.SERVICE)
    for pause in TRIED_AFTER:
        at += pause
        time.moves_to(at)
        run(sender)
    session.rollback()
    outcome = session.scalars(select(Outcome)).one()
    assert (outcome.state, outcome.reply) == (DeliveryState.FAILED, UNPRINTABLE)
    assert refusals.counted(session, sent.mailing_id) == {("other", Refusal.OUR_FAULT): 5}
    assert close.finish(session, at=at) == [sent.mailing_id]
    assert books.unbalanced(session) == (1, [])


def test_a_service_letter_goes_out_once_its_key_is_mended(
    session: Session, settings: Settings, a_sender: Make, time: Time
) -> None:
    sent, mend = a_service_letter(session), a_broken_key(settings)
    sender = a_sender(Lane.SERVICE)
    run(sender)
    assert service.tally(session, sent.mailing_id).queued == 1
    session.rollback()
    mend()
    time.moves_to(NOON + timedelta(seconds=30))
    run(sender)
    assert service.tally(session, sent.mailing_id).accepted == 1


def test_a_campaign_that_cannot_be_signed_waits_for_a_person(
    session: Session, settings: Settings, a_sender: Make
) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    session.commit()
    a_broken_key(settings)
    run(a_sender())
    session.rollback()
    held = session.get_one(Mailing, mailing.id)
    assert (held.state, held.held_because) == (MailingState.HELD, UNPRINTABLE)
