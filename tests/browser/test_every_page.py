"""Every page of the product, as everybody who may open it, on a desk and on a phone."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pprint import pformat

import pytest
from flask import Flask
from flask_login import FlaskLoginClient
from playwright.sync_api import Browser, BrowserContext
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from crm import clock
from crm.app import create_app
from crm.campaigns import service as campaigns
from crm.config import Settings
from crm.db import db
from crm.delivery.models import Mailing, Outcome
from crm.delivery.resend import resend
from crm.delivery.states import DeliveryState, MailingState
from crm.demo.load import load
from crm.staff.models import Role, Staff
from crm.web import access, identity
from crm.web.identity import ROLES
from devtools import ports
from tests.browser import support
from tests.browser.places import Places, addresses, places
from tests.conftest import KEYS, a_copy, closing_its_connections
from tests.crm.campaigns import a_campaign, mailing_of

pytestmark = pytest.mark.browser


@dataclass(frozen=True, kw_only=True)
class Demo:
    app: Flask
    origin: str
    places: Places


@pytest.fixture(scope="module")
def settings_of_the_demo(
    server: Engine, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    with a_copy(server, template) as url:
        yield Settings(
            database_url=url,
            redis_url=os.environ["REDIS_URL"],
            smtp_url="smtp://127.0.0.1:9?starttls=never",
            public_url=f"http://127.0.0.1:{ports.free()}",
            secret_keys=KEYS,
            suppression_keys=KEYS,
            state_dir=tmp_path_factory.mktemp("state"),
            testing=True,
        )


@pytest.fixture(scope="module")
def demo(settings_of_the_demo: Settings) -> Iterator[Demo]:
    """The demo clinic, loaded once, and served from this process."""
    settings, port = settings_of_the_demo, int(settings_of_the_demo.public_url.rpartition(":")[2])
    app = create_app(settings)
    app.test_client_class = FlaskLoginClient
    with closing_its_connections(app):
        with app.app_context():
            load(db.session(), origins=[], settings=settings, at=clock.now())
            in_every_state(db.session(), settings)
            db.session().commit()
            found = places(db.session(), settings)
            db.session.remove()
        with support.serving(app, port=port) as origin:
            yield Demo(app=app, origin=origin, places=found)


def in_every_state(session: Session, settings: Settings) -> None:
    """Add a campaign in each state that the demo has none in."""
    at = clock.now()
    marketer = session.scalars(select(Staff).join(Staff.roles).where(Role.name == "marketer")).one()
    there = set(session.scalars(select(Mailing.state).distinct()))
    for state in sorted(set(MailingState) - there):
        campaign = a_campaign(session, name=f"Кампания: {state}", staff=marketer, at=at)
        approval = campaigns.Approval(
            count=10_000, revision=campaign.revision, due_at=at, staff_id=marketer.id
        )
        assert campaigns.approve(session, campaign.id, approval, settings=settings, at=at) is None
        if state not in (MailingState.SCHEDULED, MailingState.OVERDUE):
            assert campaigns.launch_next(session, at=at)
        mailing_of(session, campaign).state = state
        session.flush()
    one_sent_again(session, by=marketer)


def one_sent_again(session: Session, *, by: Staff) -> None:
    """Let an uncertain letter go again, and leave others for somebody to decide on."""
    doubted = session.scalars(
        select(Mailing)
        .join(Outcome, Outcome.mailing_id == Mailing.id)
        .where(Outcome.state == DeliveryState.UNCERTAIN)
        .group_by(Mailing.id)
        .having(func.count() > 1)
        .order_by(Mailing.id)
    ).first()
    assert doubted is not None, "the demo shows no letters to decide on"
    letters = select(Outcome.delivery_id).where(
        Outcome.mailing_id == doubted.id, Outcome.state == DeliveryState.UNCERTAIN
    )
    first = session.scalars(letters.limit(1)).one()
    assert resend(session, doubted, [first], by=by.id, at=clock.now())


def endpoints(app: Flask, allowed: Callable[[str], bool]) -> set[str]:
    """Return what can be asked for with GET, as far as ``allowed``."""
    rules = app.url_map.iter_rules()
    return {one.endpoint for one in rules if "GET" in (one.methods or ()) and allowed(one.endpoint)}


def look_at(context: BrowserContext, demo: Demo, paths: list[str]) -> dict[str, object]:
    """Open each page once, and check it at both sizes; return what is wrong, by address.

    All in one tab, where the browser keeps axe compiled: half the time of a tab for each.
    """
    wrong: dict[str, object] = {}
    page = context.new_page()
    witness = support.watch(page, demo.origin)
    for path in paths:
        page.set_viewport_size(support.DESKTOP)
        page.goto(demo.origin + path)
        for size, window in support.SIZES.items():
            page.set_viewport_size(window)
            found = support.faults(page, witness)
            if found:
                wrong[f"{path} {size}"] = found
        witness.forget()
    return wrong


def test_strangers_find_every_public_page_in_order(demo: Demo, browser: Browser) -> None:
    paths = addresses(demo.places, endpoints(demo.app, access.public))
    with browser.new_context(viewport=support.DESKTOP) as context:
        wrong = look_at(context, demo, [*paths, "/no-such-page"])
    assert not wrong, pformat(wrong, width=100)


@pytest.mark.parametrize("role", ROLES)
def test_staff_find_every_page_in_order(demo: Demo, browser: Browser, role: identity.Role) -> None:
    """Today looks different to each role; any other page is seen by the first that may open it."""
    with demo.app.app_context():
        mine = endpoints(demo.app, lambda endpoint: role in access.roles_of(endpoint))
        before = set(ROLES[: ROLES.index(role)])
        elsewhere = endpoints(
            demo.app, lambda endpoint: bool(before & set(access.roles_of(endpoint)))
        )
        paths = addresses(demo.places, mine - elsewhere | {"desk.today"})
        someone = db.session.scalars(select(Staff).join(Staff.roles).where(Role.name == role))
        client = demo.app.test_client(user=someone.one())
        cookie = client.get_cookie("session")
        db.session.remove()
    assert cookie is not None
    with browser.new_context(viewport=support.DESKTOP) as context:
        context.add_cookies([{"name": "session", "value": cookie.value, "url": demo.origin}])
        wrong = look_at(context, demo, [*paths, "/no-such-page"])
    assert not wrong, pformat(wrong, width=100)
