"""The way out of promotion while the database goes away: at each word said to it, one by one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask_login import FlaskLoginClient
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.orm import Session

from crm.app import create_app
from crm.config import Settings
from crm.consent.rules import Act
from crm.contacts.models import Address
from crm.db import db
from crm.safekeeping.journal import Journal
from tests.conftest import NOON, closing_its_connections
from tests.crm.test_recipients import confirming, holding, way_out
from tests.factories import (
    a_clinic,
    a_member_of_staff,
    an_email,
    an_event,
    many_willing_contacts,
)

pytestmark = pytest.mark.usefixtures("time")
CUT = "SELECT pg_terminate_backend(:pid, 5000)"
LET_IN = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
NOWHERE = "postgresql+psycopg://x:x@127.0.0.1:9/x"
WORDS = ("before_cursor_execute", "commit", "rollback")
NOT_STORED = "Сейчас не получилось записать ваш отказ"


@pytest.fixture
def site(settings: Settings, session: Session) -> Iterator[Flask]:
    """The product with nothing around its requests: each begins and ends a session."""
    a_clinic(session)
    many_willing_contacts(session, 40, at=NOON)
    session.commit()
    site = create_app(replace(settings, testing=False))
    with closing_its_connections(site):
        yield site


@pytest.fixture
def links(session: Session, site: Flask) -> Iterator[str]:
    """The ways out of the people there: each is cut once."""
    return iter([way_out(found) for found in session.scalars(select(Address.id))])


class Scissors:
    """Cuts the site's connection right before its ``turn``-th word; counts the words."""

    def __init__(self, engine: Engine, outside: Connection, *, turn: int, for_good: bool) -> None:
        self.engine, self.outside = engine, outside
        self.turn, self.for_good = turn, for_good
        self.words = 0

    def __call__(self, connection: Connection, *_: Any) -> None:
        self.words += 1
        if self.words == self.turn:
            if self.for_good:
                self.let_in("false")
            pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
            self.outside.execute(text(CUT), {"pid": pid})

    def let_in(self, anybody: str) -> None:
        self.outside.execute(text(LET_IN.format(self.engine.url.database, anybody)))


@contextmanager
def scissors(
    site: Flask, server: Engine, *words: str, turn: int, for_good: bool = False
) -> Iterator[Scissors]:
    with site.app_context():
        engine = db.engine
    with server.connect() as outside, ExitStack() as end:
        cutting = Scissors(engine, outside, turn=turn, for_good=for_good)
        for name in words or WORDS:
            event.listen(engine, name, cutting)
            end.callback(event.remove, engine, name, cutting)
        end.callback(cutting.let_in, "true")
        yield cutting


@pytest.mark.parametrize("for_good", [False, True], ids=["for a moment", "for good"])
def test_whenever_the_database_goes_away_there_is_an_answer(
    site: Flask, server: Engine, links: Iterator[str], for_good: bool
) -> None:
    told: list[int] = []
    sessions = len(db.session.registry.registry)
    for turn in range(1, 40):
        with scissors(site, server, turn=turn, for_good=for_good) as cut:
            told.append(site.test_client().post(next(links)).status_code)
        if turn > cut.words:
            break
    stored = told.index(202)
    assert stored > 10
    assert set(told[:stored]) == {503}
    assert set(told[stored:]) == {202, 200}
    assert told[stored:] == sorted(told[stored:], reverse=True), "what was stored is no failure"
    assert told[-1] == 200, "the last was not cut"
    assert len(db.session.registry.registry) == sessions, "a session outlived its request"


def test_it_may_go_away_when_what_failed_is_rolled_back(
    site: Flask, server: Engine, links: Iterator[str], database: str
) -> None:
    with (
        holding(database, "SELECT 1 FROM standings FOR UPDATE"),
        scissors(site, server, "rollback", turn=1) as cut,
    ):
        answer = site.test_client().post(next(links))
    assert cut.words == 1
    assert answer.status_code == 503
    assert NOT_STORED in answer.text


def test_it_may_go_away_when_the_journal_could_not_be_written(
    site: Flask, server: Engine, links: Iterator[str], settings: Settings
) -> None:
    Journal(settings).folder.write_text("no folder")
    for turn in (1, 2, 3):
        with scissors(site, server, "rollback", turn=turn) as cut:
            answer = site.test_client().post(next(links))
        assert cut.words >= turn, "of the barrier, of the journal, of the end"
        assert answer.status_code == (202 if turn == 1 else 200)


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
