import os
import re
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect
from redis import Redis
from sqlalchemy import Engine

from crm.app import create_app
from crm.config import Settings
from crm.db import db
from devtools import ports
from devtools.catcher import Sink
from devtools.site.__main__ import Site
from tests.browser import support
from tests.conftest import KEYS, a_copy, closing_its_connections
from tests.journeys import clinic
from tests.journeys.house import PATIENCE_S, House, processes

Enters = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the journeys at the end, so that their processes stand in no other test's way."""
    items.sort(key=lambda item: ("journeys" in item.path.parts, item.path.name == "test_logs.py"))


@pytest.fixture(scope="session")
def settings_of_the_house(
    server: Engine, template: str, sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    # Queues of its own: a developer's workers and other tests use database 0 of the same server.
    broker = re.sub(r"/\d+$", f"/{2 + os.getpid() % 14}", os.environ["REDIS_URL"])
    with Redis.from_url(broker) as valkey:
        valkey.flushdb()
    with a_copy(server, template) as url:
        yield Settings(
            database_url=url,
            redis_url=broker,
            smtp_url=sink.url,
            public_url=f"http://127.0.0.1:{ports.free()}",
            secret_keys=KEYS,
            suppression_keys=KEYS,
            state_dir=tmp_path_factory.mktemp("state"),
        )


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="session")
def site(settings_of_the_house: Settings) -> Iterator[str]:
    """The demo clinic's own site: another origin than ours, with the form in a frame."""
    with Site(0, settings_of_the_house.public_url) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def house(
    settings_of_the_house: Settings,
    sink: Sink,
    site: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    logs = tmp_path_factory.mktemp("logs")
    app = create_app(settings_of_the_house)
    with closing_its_connections(app):
        with app.app_context():
            clinic.furnish(db.session(), site=site)
            db.session.remove()
        with processes(settings_of_the_house, logs):
            yield House(settings=settings_of_the_house, site=site, sink=sink, logs=logs, app=app)


@pytest.fixture(scope="session", autouse=True)
def _patience() -> None:
    expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture
def visits(browser: Browser) -> Iterator[Enters]:
    """``visits()`` is the page of somebody at a device of their own, with nothing in it."""
    contexts = []

    def visit(*, scripts: bool = True) -> Page:
        context = browser.new_context(viewport=support.DESKTOP, java_script_enabled=scripts)
        context.set_default_timeout(PATIENCE_S * 1000)
        contexts.append(context)
        return context.new_page()

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def signs_in(visits: Enters, house: House) -> Enters:
    """``signs_in("dpo")`` is the page of a member of staff who came through the door."""

    def sign_in(role: str) -> Page:
        page = visits()
        page.goto(house.origin)
        page.get_by_label("E-mail").or_(page.locator("#email")).first.fill(clinic.address_of(role))
        page.locator("#password").fill(clinic.PASSWORD)
        page.locator("form button[type=submit]").click()
        page.get_by_role("heading", level=1, name="Today").wait_for()
        return page

    return sign_in
