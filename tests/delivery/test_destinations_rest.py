"""A provider or a domain that refuses letter after letter for now is left alone for a while."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crm.contacts.models import Address
from crm.delivery import service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Mailing, Retry
from crm.delivery.rest import rest, resting, rests
from crm.delivery.states import Lane
from crm.delivery.waits import Wait, waits_for
from tests.conftest import NOON, Time
from tests.delivery.knocking import a_service_letter, run, url_of
from tests.factories import a_running_mailing, a_willing_contact
from tests.mail.hostile import Server, Visit, listening

Make = Callable[..., Sender]
pytestmark = pytest.mark.usefixtures("awake", "time")

DOWN = b"451 4.3.0 Queue file write error\r\n"
GREYLISTED = b"450 4.2.0 Greylisted, come back in 5 minutes\r\n"
MINUTE = timedelta(minutes=1)
ANYBODY = b"RCPT TO:<busy"


def to(name: str) -> bytes:
    return b"RCPT TO:<%s" % name.encode()


@pytest.fixture
def refuses() -> dict[bytes, bytes]:
    """What the relay answers, by the beginning of a command."""
    return {}


@pytest.fixture
def relay(refuses: dict[bytes, bytes]) -> Iterator[Server]:
    def serve(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.serve(refuse=refuses)

    with listening(serve) as server:
        yield server


def people(session: Session, *names: str, domain: str = "firm.example") -> Mailing:
    for name in names:
        a_willing_contact(session, email=f"{name}@{domain}")
    session.execute(
        update(Address).where(Address.value.like("%@gmail.com")).values(provider="gmail")
    )
    mailing = a_running_mailing(session)
    session.commit()
    return mailing


def busy(count: int) -> list[str]:
    return [f"busy{number}" for number in range(count)]


def test_a_domain_that_takes_nothing_for_now_is_left_alone_longer_each_time(
    session: Session,
    a_sender: Make,
    time: Time,
    relay: Server,
    refuses: dict[bytes, bytes],
) -> None:
    a_willing_contact(session, email="anna@other.example")
    mailing = people(session, *busy(4))
    refuses[ANYBODY] = DOWN
    sender, at = a_sender(smtp_url=url_of(relay)), NOON
    for minutes in (15, 60, 240):
        run(sender)
        assert rests(session) == {"domain:firm.example": at + minutes * MINUTE}
        assert [one.because for one in resting(session, at=at)] == ["Queue file write error"]
        session.rollback()
        at += minutes * MINUTE
        time.moves_to(at)
    assert service.tally(session, mailing.id).accepted == 1, "the other one"
    refuses.clear()
    session.rollback()
    run(sender)
    assert service.tally(session, mailing.id).accepted == 5
    assert rests(session) == {}


def test_while_it_rests_new_letters_to_it_are_not_tried(
    session: Session,
    a_sender: Make,
    time: Time,
    relay: Server,
    refuses: dict[bytes, bytes],
) -> None:
    people(session, *busy(3))
    refuses[ANYBODY] = DOWN
    run(a_sender(smtp_url=url_of(relay)))
    later = people(session, "busy9")
    time.moves_to(NOON + MINUTE)
    run(a_sender(smtp_url=url_of(relay)))
    tries = set(session.scalars(select(Retry.tries).where(Retry.mailing_id == later.id)))
    assert tries == {0}
    assert not [line for line in relay.heard if line.startswith(to("busy9"))]


def test_a_provider_that_is_down_rests_and_the_page_of_the_mailing_says_so(
    session: Session, a_sender: Make, relay: Server, refuses: dict[bytes, bytes]
) -> None:
    people(session, *busy(3), domain="gmail.com")
    refuses[ANYBODY] = DOWN
    run(a_sender(smtp_url=url_of(relay)))
    for name in ("anna", "boris"):
        a_willing_contact(session, email=f"{name}@firm.example")
    mailing = people(session, "vera", domain="gmail.com")
    run(a_sender(smtp_url=url_of(relay)))
    waits = waits_for(session, mailing, at=NOON)
    assert waits is not None
    assert (waits.kind, waits.provider) == (Wait.PROVIDER_REST, "gmail")
    assert (waits.because, waits.until) == ("Queue file write error", NOON + 15 * MINUTE)
    assert service.tally(session, mailing.id).accepted == 2, "no other provider is held up"


def test_a_letter_accepted_in_between_shows_that_it_was_a_hiccup(
    session: Session, a_sender: Make, relay: Server, refuses: dict[bytes, bytes]
) -> None:
    mailing = people(session, "busy0", "busy1", "anna", "busy2", "busy3", "boris")
    refuses[ANYBODY] = DOWN
    run(a_sender(size=1, smtp_url=url_of(relay)))
    assert rests(session) == {}
    assert service.tally(session, mailing.id).accepted == 2


def test_one_letter_that_is_refused_again_and_again_rests_nobody(
    session: Session,
    a_sender: Make,
    time: Time,
    relay: Server,
    refuses: dict[bytes, bytes],
) -> None:
    people(session, "busy0")
    refuses[ANYBODY] = DOWN
    sender = a_sender(smtp_url=url_of(relay))
    for hours in (0, 1, 3):
        time.moves_to(NOON + timedelta(hours=hours))
        run(sender)
    assert session.scalars(select(Retry.tries)).one() == 3
    assert rests(session) == {}


@pytest.mark.parametrize(
    "reply",
    [
        GREYLISTED,
        b"451 4.7.1 Service unavailable, please come back later\r\n",
        b"452 4.2.2 Mailbox is full\r\n",
        b"450 4.2.1 The user is receiving mail too quickly\r\n",
        b"450 4.1.1 Recipient address rejected: unverified address\r\n",
        b"450 Mailbox busy\r\n",
    ],
)
def test_what_a_stranger_or_one_mailbox_is_told_rests_nobody(
    session: Session, a_sender: Make, relay: Server, refuses: dict[bytes, bytes], reply: bytes
) -> None:
    mailing = people(session, *busy(6))
    refuses[ANYBODY] = reply
    run(a_sender(smtp_url=url_of(relay)))
    assert service.tally(session, mailing.id).queued == 6
    assert rests(session) == {}


def test_after_a_rest_one_refusal_is_enough_for_any_sender(
    session: Session,
    a_sender: Make,
    time: Time,
    relay: Server,
    refuses: dict[bytes, bytes],
) -> None:
    people(session, *busy(3))
    refuses[ANYBODY] = DOWN
    run(a_sender(smtp_url=url_of(relay)))
    refuses.clear()
    refuses[to("busy0")], refuses[ANYBODY] = DOWN, GREYLISTED
    time.moves_to(NOON + 15 * MINUTE)
    run(a_sender(smtp_url=url_of(relay)))
    assert rests(session) == {"domain:firm.example": NOON + 75 * MINUTE}


def test_once_any_sender_was_let_in_again_one_refusal_is_a_hiccup_again(
    session: Session,
    a_sender: Make,
    time: Time,
    relay: Server,
    refuses: dict[bytes, bytes],
) -> None:
    people(session, *busy(3))
    refuses[ANYBODY] = DOWN
    first = a_sender(smtp_url=url_of(relay))
    run(first)
    refuses.clear()
    time.moves_to(NOON + 15 * MINUTE)
    run(a_sender(smtp_url=url_of(relay)))
    assert rests(session) == {}
    people(session, "busy9")
    refuses[to("busy9")], refuses[ANYBODY] = DOWN, GREYLISTED
    run(first)
    assert rests(session) == {}


def test_a_domain_that_rests_holds_back_no_service_letter(
    session: Session, a_sender: Make, relay: Server
) -> None:
    sent = a_service_letter(session)
    [value] = session.scalars(select(Address.value))
    domain = (value or "").rpartition("@")[2]
    rest(session, f"domain:{domain}", because="Later.", at=NOON)
    session.commit()
    run(a_sender(Lane.SERVICE, smtp_url=url_of(relay)))
    assert service.tally(session, sent.mailing_id).accepted == 1
