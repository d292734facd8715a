"""What people are told of a relay that does not answer: as senders find out, over a real wire."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from crm.delivery.dispatch import Sender
from crm.delivery.models import Retry
from crm.delivery.rest import rest
from crm.delivery.rules import AFTER_LOSS
from crm.mail.smtp import Relay
from crm.relays import absence
from crm.relays.absence import UNKNOWN_AFTER, absences
from crm.relays.models import RelayAbsence
from crm.relays.rules import name_of
from devtools.catcher import Sink
from tests.conftest import NOON, Time
from tests.delivery.test_dispatch import NOBODY
from tests.factories import a_running_mailing, a_willing_contact

Make = Callable[..., Sender]
pytestmark = pytest.mark.usefixtures("clinic", "time")
SOON = timedelta(minutes=1)


def told(session: Session, url: str, *, after: timedelta = timedelta(0)) -> RelayAbsence | None:
    session.rollback()
    return absences(session, at=NOON + after).get(name_of(Relay.from_url(url)))


def letters(session: Session, count: int, *, domain: str = "mail.example") -> None:
    for number in range(count):
        a_willing_contact(session, email=f"person{number}@{domain}")
    a_running_mailing(session)
    session.commit()


def is_noted_away(session: Session, url: str) -> None:
    """Another sender has said so, and perhaps died since."""
    absence.begin(session, Relay.from_url(url), because="The relay is tired.", at=NOON)
    session.commit()


def written_by(sender: Sender) -> list[str]:
    """Return a list that grows by what the sender says to PostgreSQL of absences."""
    said: list[str] = []

    def hear(*heard: object) -> None:
        statement = str(heard[2])
        if "relay_absences" in statement:
            said.append(statement.split(maxsplit=1)[0])

    event.listen(sender.session.get_bind(), "before_cursor_execute", hear)
    return said


def test_a_relay_that_refuses_connections_is_told_once_for_all_its_letters(
    session: Session, a_sender: Make
) -> None:
    letters(session, 50)
    sender = a_sender(smtp_url=NOBODY)
    said = written_by(sender)
    while sender.work():
        pass
    found = told(session, NOBODY)
    assert found is not None
    assert (found.since, found.because) == (
        NOON,
        "The relay could not be reached: Connection refused",
    )
    assert said == ["INSERT"]


def test_it_is_away_since_the_first_time_and_was_tried_at_the_last(
    session: Session, a_sender: Make, time: Time
) -> None:
    letters(session, 3)
    a_sender(smtp_url=NOBODY).work()
    time.moves_to(NOON + AFTER_LOSS)
    a_sender(smtp_url=NOBODY).work()
    found = told(session, NOBODY)
    assert found is not None
    assert (found.since, found.tried_at) == (NOON, NOON + AFTER_LOSS)


def test_what_nobody_has_tried_for_long_is_not_told_and_begins_anew(
    session: Session, a_sender: Make, time: Time
) -> None:
    letters(session, 3)
    a_sender(smtp_url=NOBODY).work()
    assert told(session, NOBODY, after=UNKNOWN_AFTER - SOON) is not None
    assert told(session, NOBODY, after=UNKNOWN_AFTER) is None
    later = NOON + UNKNOWN_AFTER + SOON
    time.moves_to(later)
    a_sender(smtp_url=NOBODY).work()
    found = told(session, NOBODY, after=UNKNOWN_AFTER + SOON)
    assert found is not None
    assert found.since == later


def test_the_first_sender_whose_letters_are_answered_ends_it(
    session: Session, a_sender: Make, sink: Sink
) -> None:
    is_noted_away(session, sink.url)
    letters(session, 1)
    a_sender().work()
    assert sink.count() == 1
    assert told(session, sink.url) is None


def test_a_refusal_of_a_letter_is_an_answer_too(
    session: Session, a_sender: Make, sink: Sink
) -> None:
    is_noted_away(session, sink.url)
    a_willing_contact(session, email="reject550.anna@mail.example")
    letters(session, 0)
    a_sender().work()
    assert told(session, sink.url) is None


def test_a_voyage_that_never_spoke_to_the_relay_ends_nothing(
    session: Session, a_sender: Make, sink: Sink
) -> None:
    is_noted_away(session, sink.url)
    rest(session, "domain:busy.example", because="450 later", at=NOON)
    letters(session, 3, domain="busy.example")
    a_sender().work()
    assert len(session.scalars(select(Retry)).all()) == 3, "they were taken, and could not leave"
    assert sink.count() == 0
    assert told(session, sink.url) is not None


def test_an_absence_ends_in_the_middle_of_a_long_voyage(
    session: Session, a_sender: Make, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.delivery.dispatch.FRESH_S", 0.0)
    is_noted_away(session, sink.url)
    letters(session, 60)
    sender, done = a_sender(size=1), []

    def look(*heard: object) -> None:
        if str(heard[2]).startswith("DELETE FROM relay_absences"):
            done.append(sink.count())

    event.listen(sender.session.get_bind(), "before_cursor_execute", look)
    sender.work()
    assert sink.count() == 60
    assert done[0] < 60


def test_good_news_costs_one_statement_in_a_while(
    session: Session, a_sender: Make, sink: Sink
) -> None:
    sender = a_sender()
    said = written_by(sender)
    for number in range(3):
        a_willing_contact(session, email=f"one{number}@mail.example")
        letters(session, 0)
        while sender.work():
            pass
    assert sink.count() == 6, "one, two and three letters"
    assert said == ["DELETE"]


def test_a_relay_that_answered_and_is_gone_again_is_away_from_then_on(
    session: Session, a_sender: Make, time: Time
) -> None:
    with Sink() as short_lived:
        url = short_lived.url
        is_noted_away(session, url)
        letters(session, 1)
        sender = a_sender(smtp_url=url)
        sender.work()
    time.moves_to(NOON + SOON)
    letters(session, 0)
    sender.work()
    found = told(session, url, after=SOON)
    assert found is not None
    assert found.since == NOON + SOON
