"""The editor of letters in a real browser, by keyboard alone."""

import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from tests.browser import support
from tests.factories import a_member_of_staff

pytestmark = pytest.mark.browser
PAUSE = 5_000
"""Milliseconds that a page may take to do what it promised."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = support.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def origin(app: Flask) -> Iterator[str]:
    app.config.update(WTF_CSRF_ENABLED=True, SESSION_COOKIE_SECURE=False)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


Opens = Callable[..., Page]


@pytest.fixture
def opens(app: Flask, session: Session, browser: Browser, origin: str) -> Iterator[Opens]:
    """``opens("/campaigns")`` is the page in a browser in which a marketer is signed in."""
    marketer = a_member_of_staff(session, "marketer")
    session.commit()
    contexts = []

    def open_page(path: str, size: ViewportSize = support.DESKTOP) -> Page:
        client: FlaskClient = app.test_client(user=marketer)
        with client.session_transaction():
            pass
        cookie = client.get_cookie("session", domain="localhost")
        assert cookie is not None
        context = browser.new_context(viewport=size, locale="ru-RU")
        context.add_cookies([{"name": "session", "value": cookie.value, "url": origin}])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PAUSE)
        page.witness = support.watch(page, origin)  # type: ignore[attr-defined]
        page.goto(origin + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
