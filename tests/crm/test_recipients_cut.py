"""The way out of promotion while the database goes away: at each word said to it, one by one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask_login import FlaskLoginClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.app import create_app
from crm.config import Settings
from crm.consent.rules import Act
from crm.contacts.models import Address
from crm.db import db
from crm.safekeeping.journal import Journal
from tests.conftest import NOON, closing_its_connections
from tests.crm.test_recipients import confirming, holding, way_out
from tests.crm.test_recipients_cost import ROUND_TRIPS
from tests.crm.wire import Wire, wire
from tests.factories import (
    a_clinic,
    a_member_of_staff,
    an_email,
    an_event,
    many_willing_contacts,
)

pytestmark = pytest.mark.usefixtures("time")
NOWHERE = "postgresql+psycopg://x:x@127.0.0.1:9/x"
NOT_STORED = "Сейчас не получилось записать ваш отказ"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def cable(database: str) -> Iterator[tuple[Wire, str]]:
    with wire(database) as laid:
        yield laid


@pytest.fixture
def line(cable: tuple[Wire, str]) -> Wire:
    """The product's way to the database."""
    return cable[0]


@pytest.fixture
def site(settings: Settings, session: Session, cable: tuple[Wire, str]) -> Iterator[Flask]:
    """The product with nothing around its requests: each begins and ends a session."""
    a_clinic(session)
    many_willing_contacts(session, 60, at=NOON)
    session.commit()
    site = create_app(replace(settings, database_url=cable[1], testing=False))
    with closing_its_connections(site):
        assert site.test_client().get("/readyz").status_code == 200
        yield site


@pytest.fixture
def links(session: Session, site: Flask) -> Iterator[str]:
    """The ways out of the people there: each is cut once."""
    return iter([way_out(found) for found in session.scalars(select(Address.id))])


@pytest.mark.parametrize("for_good", [False, True], ids=["for a moment", "for good"])
def test_whenever_the_database_goes_away_there_is_an_answer(
    site: Flask, line: Wire, links: Iterator[str], for_good: bool
) -> None:
    told: list[int] = []
    sessions = len(db.session.registry.registry)
    for turn in range(1, 60):
        line.cut_before(turn, for_good=for_good)
        told.append(site.test_client().post(next(links)).status_code)
        if not line.is_cut:
            break
        line.cut_before(None)
    stored = told.index(202)
    assert stored > 10, "each statement is a word of its own, the first time on a connection"
    assert set(told[:stored]) == {503}
    assert set(told[stored:]) == {202, 200}
    assert told[stored:] == sorted(told[stored:], reverse=True), "what was stored is no failure"
    assert told[-1] == 200, "the last was not cut"
    assert len(db.session.registry.registry) == sessions, "a session outlived its request"


def test_a_connection_that_ended_while_nobody_used_it_is_not_used(
    site: Flask, line: Wire, links: Iterator[str]
) -> None:
    for _ in range(3):
        assert site.test_client().post(next(links)).status_code == 200
        line.cut()


def test_it_may_go_away_when_what_failed_is_rolled_back(
    site: Flask, line: Wire, links: Iterator[str], database: str
) -> None:
    assert site.test_client().post(next(links)).status_code == 200
    with holding(database, "SELECT 1 FROM standings FOR UPDATE"):
        line.cut_before(2)
        answer = site.test_client().post(next(links))
    assert line.is_cut
    assert answer.status_code == 503
    assert NOT_STORED in answer.text


def test_it_may_go_away_when_the_journal_could_not_be_written(
    site: Flask, line: Wire, links: Iterator[str], settings: Settings
) -> None:
    Journal(settings).folder.write_text("no folder")
    for turn in (ROUND_TRIPS - 1, ROUND_TRIPS):
        line.cut_before(None)
        assert site.test_client().post(next(links), data=ONE_CLICK).status_code == 200
        line.cut_before(turn)
        answer = site.test_client().post(next(links), data=ONE_CLICK)
        assert line.is_cut, "when the queue is asked for, when it is left as it was"
        assert answer.status_code == 200


def test_a_confirmation_that_cannot_be_stored_is_not_called_a_refusal(
    settings: Settings, session: Session
) -> None:
    link = confirming(an_event(session, Act.ASKED, an_email(session)))
    away = create_app(replace(settings, database_url=NOWHERE, testing=False))
    with closing_its_connections(away):
        answer = away.test_client().post(link)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert NOT_STORED not in answer.text


@pytest.mark.parametrize("path", ["/", "/u/nobody", "/f/appointment"])
def test_staff_who_were_signed_in_hear_that_it_is_away(
    settings: Settings, session: Session, path: str
) -> None:
    """Who they are is asked before any view is reached."""
    staff = a_member_of_staff(session, "marketer")
    session.commit()
    away = create_app(replace(settings, database_url=NOWHERE, testing=False))
    away.test_client_class = FlaskLoginClient
    with closing_its_connections(away):
        answer = away.test_client(user=staff).get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "<h1" in answer.text
    assert "OperationalError" not in answer.text
