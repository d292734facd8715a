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
from crm.contacts.models import Address
from crm.db import engine_of_a_sender
from crm.delivery import books, dispatch, rules, service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Mailing, Retry
from crm.delivery.states import DeliveryState, Lane, MailingState, Mishap
from crm.delivery.waits import Wait, waits_for
from crm.operations.findings import MAILINGS_HELD, OVERCOME, UNCERTAIN
from crm.relays.words import AWAY
from devtools.catcher import Sink
from tests.chaos.leaving import Door, Leaving, door
from tests.chaos.reckoning import by_state, reckon_with
from tests.chaos.relays import (
    AFTER_A_DOT,
    HEALED,
    NO_DOT,
    STRANGE,
    drops_mid_body,
    speaks_in_fragments,
)
from tests.chaos.seen import said
from tests.crm.tls_servers import a_certificate
from tests.delivery.processes import Site
from tests.factories import a_willing_contact
from tests.mail.hostile import Script, Server, Visit, listening, refusing, well_behaved
from tests.mail.visitor import hurry

PEOPLE = 12
LINES = 3
BAD_VISITS = 4
LONGEST_S = 60.0
PATIENCE_S = 0.4
Launch = Callable[[int], Mailing]
Carry = Callable[..., set[str]]


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
    to: Site,
    skip: Callable[[timedelta], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Carry]:
    """Lets a sender work, the pauses between tries left out, until nothing is queued any more.

    Others opt out meanwhile. Returns what the operator's page and the mailing's page said.
    """
    hurry(monkeypatch, PATIENCE_S)
    monkeypatch.setitem(rules.PATIENCE_S, Lane.BULK, PATIENCE_S)
    monkeypatch.setitem(dispatch.LONGEST_REST_S, Lane.BULK, 0.05)
    engine = engine_of_a_sender(settings.database_url)

    def work(mailing: Mailing, smtp_url: str, *, rounds: int = 40) -> set[str]:
        heard: set[str] = set()
        over_at = time.monotonic() + LONGEST_S
        with Session(engine) as own, Leaving(to, bystanders(session, settings)) as leaving:
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
                heard.update(said(session, sender.settings))
                counted = service.tally(session, mailing.id)
                waits = waits_for(session, session.get_one(Mailing, mailing.id), at=clock.now())
                heard.update([waits.kind] if waits else [])
                session.rollback()
                if counted.settled == counted.planned:
                    break
            sender.close()
        assert time.monotonic() < over_at, "it hung"
        leaving.check([])
        return heard

    yield work
    engine.dispose()


def bystanders(session: Session, settings: Settings) -> list[Door]:
    """Return links of people whom the mailing does not reach, so that each letter is counted."""
    emails = {f"by{number}@else.example" for number in range(60)}
    known = session.scalars(select(Address).where(Address.value.in_(emails))).all()
    if not known:
        for email in sorted(emails):
            a_willing_contact(session, email=email, at=clock.now() - timedelta(days=1))
        session.commit()
        known = session.scalars(select(Address).where(Address.value.in_(emails))).all()
    found = [door(settings, one.id, one.value or "", delivery_id=1) for one in known]
    session.rollback()
    return found


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
        heard = carry(mailing, url_of(server))
        counted = reckon_with(session, received(server))
    assert (counted.accepted, counted.uncertain) == (PEOPLE, 0)
    assert server.visits > BAD_VISITS
    assert bool(heard & {AWAY, OVERCOME[Mishap.LINE_LOST]}) is (script not in HEALED)


def test_a_connection_dropped_in_mid_body_loses_and_doubles_nothing(
    session: Session, campaign: Launch, carry: Carry
) -> None:
    """Where the body was out before the drop was seen, so was its dot: that one is uncertain."""
    mailing = campaign(PEOPLE)
    with listening(*[drops_mid_body] * BAD_VISITS, well_behaved(b"PIPELINING")) as server:
        heard = carry(mailing, url_of(server))
        counted = reckon_with(session, received(server))
    assert counted.accepted + counted.uncertain == PEOPLE
    assert counted.uncertain <= BAD_VISITS
    assert heard & {UNCERTAIN, OVERCOME[Mishap.LINE_LOST]}


@pytest.mark.parametrize("script", AFTER_A_DOT, ids=lambda script: script.__name__)
def test_what_goes_wrong_after_the_dot_is_uncertain_and_never_sent_again(
    session: Session, campaign: Launch, carry: Carry, script: Script
) -> None:
    mailing = campaign(PEOPLE)
    with listening(*[script] * BAD_VISITS, well_behaved(b"PIPELINING")) as server:
        heard = carry(mailing, url_of(server))
        counted = reckon_with(session, received(server))
    assert counted.uncertain == BAD_VISITS
    assert counted.accepted == PEOPLE - BAD_VISITS
    assert UNCERTAIN in heard


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
        heard = carry(mailing, url_of(server), rounds=200)
    session.rollback()
    session.refresh(mailing)
    counted = service.tally(session, mailing.id)
    assert books.unbalanced(session) == (1, [])
    if mailing.state is MailingState.HELD:
        assert mailing.held_because
        assert MAILINGS_HELD in heard
        assert counted.queued + counted.settled == PEOPLE
    else:
        assert getattr(counted, state) == PEOPLE
        assert Wait.RETRIES in heard, "its page says for what it waits"
    assert counted.accepted == counted.uncertain == counted.sending == 0


def test_a_relay_that_wants_none_of_us_holds_the_mailing_until_a_person_says_so(
    session: Session, campaign: Launch, carry: Carry
) -> None:
    mailing = campaign(PEOPLE)
    with listening(
        refusing(b"PIPELINING", MAIL="550 5.7.1 We do not know you"), well_behaved(b"PIPELINING")
    ) as server:
        heard = carry(mailing, url_of(server), rounds=3)
        session.refresh(mailing)
        assert mailing.state is MailingState.HELD
        assert mailing.held_because
        assert "We do not know you" in mailing.held_because
        assert MAILINGS_HELD in heard
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
        heard = carry(mailing, url_of(server, starttls="required"), rounds=4)
        assert AWAY in heard
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
