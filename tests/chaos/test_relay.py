"""Relays that misbehave, under the real sender: every letter ends in the right state."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.db import engine_of_a_sender
from crm.delivery import books, dispatch, rules, service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Mailing, Retry
from crm.delivery.states import DeliveryState, Lane, MailingState
from devtools.catcher import Sink
from tests.chaos.reckoning import by_state, reckon_with
from tests.chaos.relays import AFTER_A_DOT, NO_DOT, STRANGE, drops_mid_body, speaks_in_fragments
from tests.crm.tls_servers import a_certificate
from tests.mail.hostile import Script, Server, Visit, listening, refusing, well_behaved
from tests.mail.visitor import hurry

PEOPLE = 12
LINES = 3
BAD_VISITS = 4
LONGEST_S = 60.0
PATIENCE_S = 0.4
Launch = Callable[[int], Mailing]
Carry = Callable[..., None]


@pytest.fixture
def skip(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets time pass that nobody wants to wait for."""
    ahead = [timedelta(0)]
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + ahead[0])

    def pass_by(some: timedelta) -> None:
        ahead[0] += some

    return pass_by


@pytest.fixture
def carry(
    app: Flask,
    session: Session,
    settings: Settings,
    skip: Callable[[timedelta], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Carry]:
    """Lets a sender work, the pauses between tries left out, until nothing is queued any more."""
    hurry(monkeypatch, PATIENCE_S)
    monkeypatch.setitem(rules.PATIENCE_S, Lane.BULK, PATIENCE_S)
    monkeypatch.setitem(dispatch.LONGEST_REST_S, Lane.BULK, 0.05)
    engine = engine_of_a_sender(settings.database_url)

    def work(mailing: Mailing, smtp_url: str, *, rounds: int = 40) -> None:
        over_at = time.monotonic() + LONGEST_S
        with Session(engine) as own:
            sender = Sender(
                session=own,
                settings=replace(settings, smtp_url=smtp_url),
                lane=Lane.BULK,
                now=lambda: clock.now(),
                stopping=lambda: time.monotonic() > over_at,
                size=LINES,
            )
            for _ in range(rounds):
                if not sender.work():
                    skip(timedelta(minutes=20))
                    time.sleep(0.05)
                counted = service.tally(session, mailing.id)
                session.rollback()
                if counted.settled == counted.planned:
                    break
            sender.close()
        assert time.monotonic() < over_at, "it hung"

    yield work
    engine.dispose()


def url_of(server: Server, *, starttls: str = "never") -> str:
    return f"smtp://127.0.0.1:{server.port}?starttls={starttls}"


def received(server: Server) -> list[str]:
    """Return to whom bodies were addressed that got their dot."""
    return [
        found[1].decode()
        for body in server.bodies
        if (found := re.search(rb"^To: .*?(one\d+@mail\.example)", body, re.MULTILINE))
    ]


@pytest.mark.parametrize("script", NO_DOT, ids=lambda script: script.__name__)
def test_what_goes_wrong_before_the_dot_costs_time_and_no_letter(
    session: Session, campaign: Launch, carry: Carry, script: Script
) -> None:
    mailing = campaign(PEOPLE)
    with listening(*[script] * BAD_VISITS, well_behaved(b"PIPELINING")) as server:
        carry(mailing, url_of(server))
        counted = reckon_with(session, received(server))
    assert (counted.accepted, counted.uncertain) == (PEOPLE, 0)
    assert server.visits > BAD_VISITS


def test_a_connection_dropped_in_mid_body_loses_and_doubles_nothing(
    session: Session, campaign: Launch, carry: Carry
) -> None:
    """Where the body was out before the drop was seen, so was its dot: that one is uncertain."""
    mailing = campaign(PEOPLE)
    with listening(*[drops_mid_body] * BAD_VISITS, well_behaved(b"PIPELINING")) as server:
        carry(mailing, url_of(server))
        counted = reckon_with(session, received(server))
    assert counted.accepted + counted.uncertain == PEOPLE
    assert counted.uncertain <= BAD_VISITS


@pytest.mark.parametrize("script", AFTER_A_DOT, ids=lambda script: script.__name__)
def test_what_goes_wrong_after_the_dot_is_uncertain_and_never_sent_again(
    session: Session, campaign: Launch, carry: Carry, script: Script
) -> None:
    mailing = campaign(PEOPLE)
    with listening(*[script] * BAD_VISITS, well_behaved(b"PIPELINING")) as server:
        carry(mailing, url_of(server))
        counted = reckon_with(session, received(server))
    assert counted.uncertain == BAD_VISITS
    assert counted.accepted == PEOPLE - BAD_VISITS


@pytest.mark.parametrize("script", STRANGE, ids=["fragments", "421", "no 8BITMIME"])
def test_a_strange_relay_gets_every_letter(
    session: Session, campaign: Launch, carry: Carry, script: Script
) -> None:
    mailing = campaign(PEOPLE)
    with listening(script) as server:
        carry(mailing, url_of(server))
        assert all(body.isascii() for body in server.bodies) or script is speaks_in_fragments
        counted = reckon_with(session, received(server))
    assert (counted.accepted, counted.uncertain) == (PEOPLE, 0)


@pytest.mark.parametrize(
    ("refuses", "state"),
    [
        ({"RCPT": "550 5.1.1 No such user"}, "failed"),
        ({"RCPT": "451 4.3.0 Not now"}, "failed"),
        ({"dot": "554 5.7.1 Not such a letter"}, "failed"),
        ({"dot": "451 4.3.0 Not now"}, "failed"),
    ],
    ids=str,
)
def test_a_relay_that_refuses_for_ever_ends_every_letter(
    session: Session, campaign: Launch, carry: Carry, refuses: dict[str, str], state: str
) -> None:
    mailing = campaign(PEOPLE)
    with listening(refusing(b"PIPELINING", **refuses)) as server:
        carry(mailing, url_of(server), rounds=200)
    session.rollback()
    session.refresh(mailing)
    counted = service.tally(session, mailing.id)
    assert books.unbalanced(session) == (1, [])
    if mailing.state is MailingState.HELD:
        assert mailing.held_because
        assert counted.queued + counted.settled == PEOPLE
    else:
        assert getattr(counted, state) == PEOPLE
    assert counted.accepted == counted.uncertain == counted.sending == 0


def test_a_relay_that_wants_none_of_us_holds_the_mailing_until_a_person_says_so(
    session: Session, campaign: Launch, carry: Carry
) -> None:
    mailing = campaign(PEOPLE)
    with listening(
        refusing(b"PIPELINING", MAIL="550 5.7.1 We do not know you"), well_behaved(b"PIPELINING")
    ) as server:
        carry(mailing, url_of(server), rounds=3)
        session.refresh(mailing)
        assert mailing.state is MailingState.HELD
        assert mailing.held_because
        assert "We do not know you" in mailing.held_because
        service.resume(session, mailing.id)
        session.commit()
        carry(mailing, url_of(server))
        counted = reckon_with(session, received(server))
    assert (counted.accepted, counted.uncertain) == (PEOPLE, 0)


def test_an_expired_certificate_gets_no_letter_and_loses_none(
    session: Session,
    sink: Sink,
    campaign: Launch,
    carry: Carry,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = datetime.now(UTC)
    certificate = a_certificate(tmp_path, ends=now - timedelta(days=1), at=now)

    def encrypts(visit: Visit) -> None:
        visit.greet(b"STARTTLS")
        visit.expect(b"STARTTLS", b"220 2.0.0 Go on\r\n")
        visit.encrypt(certificate.server)
        visit.serve()

    mailing = campaign(PEOPLE)
    with listening(encrypts) as server:
        carry(mailing, url_of(server, starttls="required"), rounds=4)
        assert server.bodies == []
    assert "relay away" in caplog.messages
    session.rollback()
    assert books.unbalanced(session) == (1, [])
    assert service.tally(session, mailing.id).queued == PEOPLE
    replies = set(session.scalars(select(Retry.reply)))
    assert any("certificate" in (reply or "") for reply in replies), replies
    carry(mailing, sink.url)
    assert Counter(letter.rcpt for letter in sink.messages()).total() == PEOPLE
    session.rollback()
    assert len(by_state(session, DeliveryState.ACCEPTED)) == PEOPLE
