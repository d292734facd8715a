"""What Prometheus reads, and who may read it."""

import dataclasses
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from crm.app import create_app
from crm.config import Settings
from crm.db import db
from crm.delivery import refusals
from crm.delivery.models import Delivery, Lease, Retry
from crm.delivery.rest import rest
from crm.delivery.states import Lane, LeaseState, MailingState
from crm.mail.refusal import Refusal
from crm.mail.smtp import Relay
from crm.operations import alive
from crm.relays import absence
from tests.conftest import Time, closing_its_connections
from tests.factories import NOON, a_clinic, a_running_mailing, a_willing_contact

TOKEN = "t" * 40
HEAD = re.compile(r"# (HELP|TYPE) (vezhlivo_[a-z_]+) (.+)")
SAMPLE = re.compile(r'(vezhlivo_[a-z_]+)(\{(?:[a-z]+="[a-z0-9]+",?)*\})? (-?[0-9][0-9.e+]*)')


def read(text: str) -> dict[str, float]:
    """Parse the text format strictly; return the value of each series."""
    assert text.endswith("\n")
    series: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if head := HEAD.fullmatch(line):
            if head[1] == "TYPE":
                assert head[2] not in kinds, "a metric is announced once"
                assert head[3] in ("counter", "gauge")
                kinds[head[2]] = head[3]
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] in kinds, "samples stand below their metric"
        key = sample[1].removeprefix("vezhlivo_") + (sample[2] or "")
        assert key not in series
        series[key] = float(sample[3])
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter")
    return series


def scraped(app: Flask) -> dict[str, float]:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.text)


@pytest.fixture
def with_a_token(settings: Settings) -> Settings:
    return dataclasses.replace(settings, metrics_token=TOKEN)


def test_an_empty_system_tells_its_zeros(app: Flask, time: Time) -> None:
    told = scraped(app)
    assert told['letters_total{lane="bulk",state="accepted"}'] == 0
    assert told['workers{kind="beat"}'] == 0
    assert told['mailings{state="held"}'] == 0
    assert told['stop_gap_seconds{days="30"}'] == 0
    assert told["installation_held"] == told["journal_trouble"] == 0
    assert told["broker_up"] == told["relays_usable"] == 1


def test_letters_are_told_by_lane_and_state(app: Flask, session: Session, time: Time) -> None:
    a_clinic(session)
    for _ in range(3):
        a_willing_contact(session)
    mailing = a_running_mailing(session)
    sums = {"accepted": 5, "withheld": 4, "failed": 3, "uncertain": 2}
    for state in LeaseState:
        session.add(
            Lease(
                lane=Lane.BULK,
                mailing_id=mailing.id,
                provider="other",
                state=state,
                taken_at=NOON,
                **sums,
            )
        )
    session.commit()
    time.moves_to(NOON + timedelta(minutes=7))
    told = scraped(app)
    for end, count in sums.items():
        assert told[f'letters_total{{lane="bulk",state="{end}"}}'] == 3 * count
        assert told[f'letters_total{{lane="service",state="{end}"}}'] == 0
    assert told['letters_waiting{lane="bulk"}'] == 3
    assert told['leases_live{lane="bulk"}'] == told['leases_dead_total{lane="bulk"}'] == 1
    assert told['oldest_waiting_seconds{lane="bulk"}'] == 7 * 60
    assert told['mailings{state="running"}'] == 1


def test_retries_due_and_not_yet_due_are_told_apart(
    app: Flask, session: Session, time: Time
) -> None:
    a_clinic(session)
    for _ in range(2):
        a_willing_contact(session)
    mailing = a_running_mailing(session)
    of_mailing = select(Delivery.id).where(Delivery.mailing_id == mailing.id)
    due = (NOON, NOON + timedelta(hours=1))
    for delivery_id, due_at in zip(session.scalars(of_mailing), due, strict=True):
        session.add(
            Retry(
                delivery_id=delivery_id,
                mailing_id=mailing.id,
                lane=Lane.BULK,
                provider="other",
                due_at=due_at,
                tries=1,
            )
        )
    session.commit()
    told = scraped(app)
    assert told['retries{lane="bulk"}'] == 2
    assert told['retries_due{lane="bulk"}'] == 1


def test_letters_of_a_halted_mailing_are_not_late(app: Flask, session: Session, time: Time) -> None:
    a_clinic(session)
    a_willing_contact(session)
    a_running_mailing(session).state = MailingState.PAUSED
    session.commit()
    time.moves_to(NOON + timedelta(hours=1))
    assert scraped(app)['oldest_waiting_seconds{lane="bulk"}'] == 0


def test_processes_and_rests_are_counted(app: Flask, session: Session, time: Time) -> None:
    for pid, at in ((1, NOON), (2, NOON - timedelta(minutes=1))):
        alive.beat(session, "bulk", host="one", pid=pid, started_at=NOON, at=at)
    rest(session, "relay", because="421 later", at=NOON)
    rest(session, "domain:somebodys-own.example", because="421 later", at=NOON)
    session.commit()
    answer = app.test_client().get("/metrics").text
    told = read(answer)
    assert told['workers{kind="bulk"}'] == 1
    assert (told['rests{of="relay"}'], told['rests{of="domain"}']) == (1, 1)
    assert "somebodys" not in answer


def test_relays_out_of_reach_and_refusals_because_of_us_are_counted(
    app: Flask, session: Session, time: Time
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    for port in (9, 4711):
        absence.begin(session, Relay("127.0.0.1", port), because="Silence.", at=NOON)
    refusals.count(session, mailing.id, "gmail", {Refusal.OUR_FAULT: 2}, replies={}, at=NOON)
    session.commit()
    told = scraped(app)
    assert told["relays_away"] == 1, "the other is in no SMTP_URL"
    assert told["refused_about_us"] == 2
    time.moves_to(NOON + timedelta(hours=1))
    assert scraped(app)["relays_away"] == 0


def test_a_scrape_costs_the_same_whatever_there_is(
    app: Flask, session: Session, time: Time
) -> None:
    def cost() -> int:
        asked: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
        scraped(app)
        return len(asked)

    a_clinic(session)
    session.commit()
    scraped(app)
    before = cost()
    for number in range(30):
        a_willing_contact(session)
        a_running_mailing(session)
        alive.beat(session, "bulk", host="one", pid=number, started_at=NOON, at=NOON)
        rest(session, f"domain:{number}.example", because="421 later", at=NOON)
    session.commit()
    after = cost()
    assert 0 < before < 30
    # The second listener hears everything beside the first.
    assert after == before


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "203.0.113.5"},
        {"X-Real-IP": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "crm.clinic.example"},
        {"Host": "[::1"},
    ],
)
def test_a_proxy_on_this_machine_opens_nothing(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    assert client.get("/metrics", headers=headers).status_code in (400, 403)


@pytest.mark.parametrize("peer", ["203.0.113.5", "10.0.0.2", "", "::ffff:203.0.113.5"])
def test_another_machine_is_refused_without_a_token(client: FlaskClient, peer: str) -> None:
    answer = client.get("/metrics", environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 403
    assert "vezhlivo_" not in answer.text


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_needs_none(client: FlaskClient, peer: str) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": peer}).status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 403),
        (f"Basic {TOKEN}", 403),
        ("Bearer", 403),
        ("Bearer тайна", 403),
        ("", 403),
    ],
)
def test_the_token_opens_from_anywhere(with_a_token: Settings, given: str, status: int) -> None:
    app = create_app(with_a_token)
    with closing_its_connections(app):
        answer = app.test_client().get(
            "/metrics",
            headers={"Authorization": given, "X-Forwarded-For": "203.0.113.5"},
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
        )
    assert answer.status_code == status


def test_no_token_is_no_empty_token(client: FlaskClient) -> None:
    asked = {"Authorization": "Bearer ", "X-Forwarded-For": "203.0.113.5"}
    assert client.get("/metrics", headers=asked).status_code == 403


def test_the_token_is_in_no_repr(with_a_token: Settings) -> None:
    assert TOKEN not in repr(with_a_token)


def test_without_a_database_it_says_so(
    settings: Settings, signed_in: Callable[..., FlaskClient]
) -> None:
    away = dataclasses.replace(settings, database_url="postgresql+psycopg://crm@127.0.0.1:9/crm")
    app = create_app(away)
    with closing_its_connections(app):
        answer = app.test_client().get("/metrics")
    assert answer.status_code == 503
