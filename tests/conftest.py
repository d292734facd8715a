"""An empty database for each test that asks for one, on the real server."""

import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_login import FlaskLoginClient
from playwright.sync_api import Browser
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from crm import clock, migrations
from crm.app import create_app
from crm.config import Settings
from crm.db import Base, db
from tests.browser.support import chromium
from tests.factories import a_member_of_staff

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
"""A Monday; 15:00 in Moscow."""
KEYS = ("new-key-" + "n" * 32, "old-key-" + "o" * 32)


def pytest_configure() -> None:
    """Give each process of pytest-xdist a database of Valkey's own, queues and limits in it."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    if "REDIS_URL" in os.environ:
        os.environ["REDIS_URL"] = re.sub(r"/\d+$", f"/{number}", os.environ["REDIS_URL"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Keep a file's tests in one process, and all journeys: they share a whole system."""
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist's reporter is untyped
    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", 1)[0]
        return "journeys" if "journeys/" in path else path


def url_of(database: str) -> str:
    return os.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/" + database


@pytest.fixture(scope="session")
def server() -> Iterator[Engine]:
    engine = create_engine(os.environ["DATABASE_URL"], isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def template(server: Engine) -> Iterator[str]:
    """An empty database with the schema, made by the migrations, to be copied."""
    name = f"template_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = create_engine(url_of(name))
    with engine.begin() as connection:
        migrations.migrate(connection)
    engine.dispose()
    yield name
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def a_copy(server: Engine, template: str) -> Iterator[str]:
    """A database of its own, for as long as the ``with`` block lasts; yields its URL."""
    name = f"test_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield url_of(name)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def closing_its_connections(app: Flask) -> Iterator[None]:
    """Leave no connection of the application's open after the ``with`` block."""
    try:
        yield
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture(scope="session")
def one_database(server: Engine, template: str) -> Iterator[Engine]:
    with a_copy(server, template) as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def database(one_database: Engine) -> str:
    """A database as the migrations left it: what the last test wrote is gone.

    Emptying one costs a tenth of copying the template.
    """
    with one_database.begin() as connection:
        connection.execute(text(_END_OTHERS))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
        connection.execute(text(_COUNT_FROM_ONE))
    return one_database.url.render_as_string(hide_password=False)


_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_COUNT_FROM_ONE = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)
    FROM pg_sequences WHERE last_value IS NOT NULL
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a process: Playwright bears no second one beside it."""
    with chromium() as started:
        yield started


def settings_of(database: str, state_dir: Path) -> Settings:
    return Settings(
        database_url=database,
        redis_url=os.environ["REDIS_URL"],
        smtp_url="smtp://127.0.0.1:9?starttls=never",
        public_url="https://crm.clinic.example",
        secret_keys=KEYS,
        suppression_keys=KEYS,
        state_dir=state_dir,
        testing=True,
    )


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_of(database, tmp_path)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    app.test_client_class = FlaskLoginClient
    app.config["WTF_CSRF_ENABLED"] = False
    app.before_request_funcs[None].insert(0, _forget_who_asked)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def _forget_who_asked() -> None:
    """Forget what the context of ``app``, which outlives a request here, remembers of the last."""
    for remembered in ("_login_user", "_flask_babel"):
        g.pop(remembered, None)


@pytest.fixture
def session(app: Flask) -> Session:
    return db.session()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A stranger."""
    return app.test_client()


@pytest.fixture
def signed_in(app: Flask, session: Session) -> Callable[..., FlaskClient]:
    """``signed_in("marketer")`` is a client of a new member of staff with these roles."""

    def as_role(*roles: str) -> FlaskClient:
        staff = a_member_of_staff(session, *roles)
        session.commit()
        return app.test_client(user=staff)

    return as_role


class Time:
    """A clock that stands at noon until it is told to move."""

    def __init__(self) -> None:
        self.at = NOON

    def moves_to(self, at: datetime) -> None:
        self.at = at


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(clock, "now", lambda: time.at)
    return time
