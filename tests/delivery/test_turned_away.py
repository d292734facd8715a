"""A relay that lets nobody in: campaigns wait for it, service letters are tried all the same."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.delivery import service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Mailing, Retry
from crm.delivery.rest import rest, rests
from crm.delivery.states import Lane
from crm.delivery.waits import Wait, waits_for
from tests.conftest import NOON, Time
from tests.delivery.knocking import BUSY, Mood, a_service_letter, knocks, run, url_of
from tests.factories import a_running_mailing, a_willing_contact, many_willing_contacts
from tests.mail.hostile import listening, refusing, well_behaved

Make = Callable[..., Sender]
pytestmark = pytest.mark.usefixtures("awake", "time")


def test_a_relay_that_takes_nothing_for_now_is_left_alone_longer_each_time(
    session: Session, a_sender: Make, time: Time
) -> None:
    many_willing_contacts(session, 40)
    mailing = a_running_mailing(session)
    session.commit()
    relay, at = Mood(BUSY), NOON
    with listening(relay) as server:
        sender = a_sender(smtp_url=url_of(server))
        for number, pause in enumerate((15, 60, 240, 240), 1):
            run(sender)
            assert rests(session) == {"relay": at + timedelta(minutes=pause)}
            session.rollback()
            time.moves_to(at + timedelta(minutes=pause - 1))
            run(sender)
            assert knocks(server) <= 40 * number, "it was let alone"
            at += timedelta(minutes=pause)
            time.moves_to(at)
        waits = waits_for(session, session.get_one(Mailing, mailing.id), at=at - timedelta(hours=1))
        assert waits is not None
        assert (waits.kind, waits.until) == (Wait.RELAY_REST, at)
        assert waits.because == "Too busy for anybody"
        assert max(session.scalars(select(Retry.tries))) <= 1, "no letter is to blame"
        session.rollback()
        relay.says = None
        run(sender)
    assert service.tally(session, mailing.id).accepted == 40
    assert rests(session) == {}


def test_a_relay_that_stumbles_twice_goes_on_at_once(
    session: Session, a_sender: Make, time: Time
) -> None:
    many_willing_contacts(session, 6)
    mailing = a_running_mailing(session)
    session.commit()
    closing = refusing(b"PIPELINING", MAIL="421 4.3.2 Closing")
    with listening(closing, closing, well_behaved(b"PIPELINING")) as server:
        sender = a_sender(size=2, smtp_url=url_of(server))
        run(sender)
        assert rests(session) == {}
        assert service.tally(session, mailing.id).accepted == 4
        session.rollback()
        time.moves_to(NOON + timedelta(seconds=30))
        run(sender)
    assert service.tally(session, mailing.id).accepted == 6


def test_a_single_letter_that_is_never_let_in_ends(
    session: Session, a_sender: Make, time: Time
) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    session.commit()
    with listening(Mood(BUSY)) as server:
        sender = a_sender(smtp_url=url_of(server))
        for hours in range(12):
            time.moves_to(NOON + timedelta(hours=hours))
            run(sender)
    assert knocks(server) == 5
    assert service.tally(session, mailing.id).failed == 1
    assert rests(session) == {}


def test_a_service_letter_is_tried_while_the_relay_rests(session: Session, a_sender: Make) -> None:
    a_willing_contact(session)
    campaign = a_running_mailing(session)
    sent = a_service_letter(session)
    rest(session, "relay", because="451 4.3.2 Too busy", at=NOON)
    session.commit()
    with listening(well_behaved(b"PIPELINING")) as server:
        run(a_sender(smtp_url=url_of(server)))
        run(a_sender(Lane.SERVICE, smtp_url=url_of(server)))
    assert service.tally(session, campaign.id).queued == 1
    assert service.tally(session, sent.mailing_id).accepted == 1
