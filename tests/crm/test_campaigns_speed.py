"""A campaign's own speed: chosen before the launch, changed under way."""

from collections.abc import Callable
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.campaigns.models import Campaign
from crm.clinic.service import details
from crm.delivery.states import MailingState
from crm.staff.models import Staff
from tests.conftest import Time
from tests.crm.campaigns import a_campaign, approve, approved, launch, mailing_of
from tests.factories import a_clinic, a_willing_contact

SignIn = Callable[..., FlaskClient]
PEOPLE = 3


@pytest.fixture(autouse=True)
def _at_noon(time: Time) -> None:
    pass


@pytest.fixture
def marketer(signed_in: SignIn, session: Session) -> FlaskClient:
    client = signed_in("marketer")
    for staff in session.scalars(select(Staff)):
        staff.lang = "en"
    a_clinic(session)
    for _ in range(PEOPLE):
        a_willing_contact(session)
    session.commit()
    return client


@pytest.fixture
def running(marketer: FlaskClient, session: Session) -> Campaign:
    campaign = approved(marketer, session, count=PEOPLE)
    launch(session)
    return campaign


def page_of(client: FlaskClient, campaign: Campaign) -> str:
    return unescape(client.get(f"/campaigns/{campaign.id}").text)


def steps(session: Session) -> list[dict[str, object]]:
    noted = select(AuditEvent).where(AuditEvent.act == "campaign.speed_set")
    return [event.detail for event in session.scalars(noted.order_by(AuditEvent.id))]


@pytest.mark.parametrize(
    ("typed", "speed", "shown"),
    [
        ("300", 300, "at most 300 letters a minute"),
        (" 100 000 ", 100_000, "at most 100\N{NO-BREAK SPACE}000 letters a minute"),
        ("1", 1, "at most 1 letter a minute"),
        ("", None, "as fast as the mail relay and the mail providers allow"),
    ],
)
def test_the_speed_typed_before_the_launch_is_the_mailing_s(
    marketer: FlaskClient, session: Session, typed: str, speed: int | None, shown: str
) -> None:
    campaign = a_campaign(session)
    assert approve(marketer, campaign, count=PEOPLE, per_minute=typed).status_code == 302
    assert mailing_of(session, campaign).per_minute == speed
    noted = session.scalars(select(AuditEvent).where(AuditEvent.act == "campaign.approved")).one()
    assert noted.detail.get("per_minute") == speed
    assert shown in page_of(marketer, campaign)


@pytest.mark.parametrize("typed", ["0", "100001", "-5", "1.5", "fast", "٣", "9" * 40, "\x00"])
def test_a_speed_that_cannot_be_is_refused_in_its_field_and_kept(
    marketer: FlaskClient, session: Session, running: Campaign, typed: str
) -> None:
    campaign = a_campaign(session)
    for answer in (
        approve(marketer, campaign, count=PEOPLE, per_minute=typed),
        marketer.post(f"/campaigns/{running.id}/speed", data={"per_minute": typed}),
    ):
        assert answer.status_code == 422
        assert 'id="per_minute-error"' in answer.text
        assert 'href="#per_minute"' in answer.text
        assert f'value="{typed}"' in answer.text
    session.refresh(campaign)
    assert campaign.mailing_id is None
    assert mailing_of(session, running).per_minute is None
    assert steps(session) == []


def test_a_fault_elsewhere_on_the_page_keeps_the_speed_that_was_typed(
    marketer: FlaskClient, session: Session
) -> None:
    campaign = a_campaign(session)
    for wrong in ({"when": "later", "on": "never"}, {"revision": "7"}):
        answer = approve(marketer, campaign, count=PEOPLE, per_minute="250", **wrong)
        assert answer.status_code in (409, 422)
        assert 'value="250"' in answer.text
        assert "At 250 a minute" in answer.text


def test_before_the_launch_the_page_says_how_long_these_people_will_take(
    marketer: FlaskClient, session: Session
) -> None:
    campaign = a_campaign(session)
    page = marketer.get(f"/campaigns/{campaign.id}/check").text
    assert "At 100 a minute 3 letters take about 1 minute, quiet hours not counted." in page
    assert f'hx-get="/campaigns/lasts?letters={PEOPLE}"' in page


@pytest.mark.parametrize(
    ("letters", "speed", "time"),
    [
        ("1", "60", "1 minute"),
        ("871", "10", "88 minutes"),
        ("1200", "10", "2 hours"),
        ("1000000", "60", "12 days"),
        ("871", "", "9 minutes"),
    ],
)
def test_while_a_speed_is_typed_the_page_says_how_long_it_will_take(
    marketer: FlaskClient, letters: str, speed: str, time: str
) -> None:
    query = {"letters": letters, "per_minute": speed}
    assert f"about {time}, quiet" in marketer.get("/campaigns/lasts", query_string=query).text


@pytest.mark.parametrize(
    "query", ["", "letters=x", "letters=" + "9" * 40, "letters=5&per_minute=0"]
)
def test_of_nonsense_it_says_nothing(marketer: FlaskClient, query: str) -> None:
    answer = marketer.get(f"/campaigns/lasts?{query}")
    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.parametrize(
    "state",
    [
        MailingState.SCHEDULED,
        MailingState.OVERDUE,
        MailingState.RUNNING,
        MailingState.PAUSED,
        MailingState.HELD,
    ],
)
def test_a_speed_is_changed_under_way_and_the_page_tells_who_changed_it(
    marketer: FlaskClient, session: Session, running: Campaign, state: MailingState
) -> None:
    mailing_of(session, running).state = state
    session.commit()
    for typed, speed in (("40", 40), ("40", 40), ("", None)):
        answer = marketer.post(f"/campaigns/{running.id}/speed", data={"per_minute": typed})
        assert answer.status_code == 302
        assert mailing_of(session, running).per_minute == speed
    mailing_id = running.mailing_id
    assert steps(session) == [
        {"mailing_id": mailing_id, "per_minute": 40},
        {"mailing_id": mailing_id, "before": 40},
    ]
    history = page_of(marketer, running).split('cl-timeline"')[1]
    assert "Мария Сергеева. At most 40 a minute" in history
    assert "Мария Сергеева. No limit of its own" in history


@pytest.mark.parametrize("state", [MailingState.STOPPED, MailingState.FINISHED])
def test_what_has_ended_has_no_speed_to_change(
    marketer: FlaskClient, session: Session, running: Campaign, state: MailingState
) -> None:
    mailing_of(session, running).state = state
    session.commit()
    answer = marketer.post(f"/campaigns/{running.id}/speed", data={"per_minute": "40"})
    assert answer.status_code == 409
    assert mailing_of(session, running).per_minute is None
    assert f'action="/campaigns/{running.id}/speed"' not in page_of(marketer, running)


def test_a_draft_has_no_speed_to_change(marketer: FlaskClient, session: Session) -> None:
    campaign = a_campaign(session)
    answer = marketer.post(f"/campaigns/{campaign.id}/speed", data={"per_minute": "40"})
    assert answer.status_code == 409


def test_the_narrower_of_two_limits_stands_beside_the_pace(
    marketer: FlaskClient, session: Session, running: Campaign
) -> None:
    for relay, own, told in (
        (1200, 40, "at most 40."),
        (30, 40, "at most 30."),
        (0, 40, "at most 40."),
    ):
        mailing_of(session, running).per_minute = own
        details(session).letters_per_minute = relay
        session.commit()
        assert told in page_of(marketer, running)
