"""The application served to a browser with a marketer signed in."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, ViewportSize
from sqlalchemy.orm import Session

from crm.campaigns.letter import first_document
from crm.campaigns.models import Campaign
from tests.browser import support
from tests.browser.visit import Opens, Visit
from tests.crm.campaigns import a_campaign
from tests.factories import a_clinic, a_member_of_staff, a_willing_contact


@pytest.fixture
def origin(app: Flask) -> Iterator[str]:
    app.config.update(WTF_CSRF_ENABLED=True, SESSION_COOKIE_SECURE=False)
    with support.serving(app) as address:
        yield address


@pytest.fixture
def opens(app: Flask, session: Session, browser: Browser, origin: str) -> Iterator[Opens]:
    """``opens("/campaigns")`` is that page, with a marketer signed in."""
    marketer = a_member_of_staff(session, "marketer")
    session.commit()
    contexts = []

    def visit(path: str, size: ViewportSize = support.DESKTOP, *, scripts: bool = True) -> Visit:
        client: FlaskClient = app.test_client(user=marketer)
        cookie = client.get_cookie("session")
        assert cookie is not None
        context = browser.new_context(viewport=size, java_script_enabled=scripts)
        context.add_cookies([{"name": "session", "value": cookie.value, "url": origin}])
        contexts.append(context)
        return Visit(context, origin, path)

    yield visit
    for context in contexts:
        with suppress(Exception):
            context.close()


@pytest.fixture
def draft(session: Session) -> Campaign:
    a_clinic(session)
    a_willing_contact(session)
    return a_campaign(session, document=first_document())
