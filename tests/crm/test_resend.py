"""Uncertain letters, sent again by a named person: each once, and nobody who has refused."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.campaigns.models import Campaign
from crm.campaigns.service import mailing_of as mailing_by_id
from crm.delivery.books import unbalanced
from crm.delivery.models import Delivery, Mailing
from crm.delivery.resend import how_many_left, resend
from crm.delivery.states import DeliveryState, MailingState
from crm.errors import NotFound, WrongState
from tests.conftest import NOON, Time
from tests.crm.campaigns import a_campaign, approved, deliveries, ended, launch, mailing_of
from tests.factories import a_clinic, a_member_of_staff, a_willing_contact

SignIn = Callable[..., FlaskClient]
UNCERTAIN = 4
LATER = NOON + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _at_noon(time: Time) -> None:
    pass


@pytest.fixture
def marketer(signed_in: SignIn) -> FlaskClient:
    return signed_in("marketer")


@pytest.fixture
def campaign(session: Session, marketer: FlaskClient) -> Campaign:
    """Four uncertain letters and an accepted one; over."""
    a_clinic(session)
    for _ in range(UNCERTAIN + 1):
        a_willing_contact(session)
    campaign = approved(marketer, session, count=UNCERTAIN + 1)
    launch(session)
    first, *others = deliveries(session, mailing_of(session, campaign).id)
    ended(session, first, DeliveryState.ACCEPTED)
    for delivery in others:
        ended(session, delivery, DeliveryState.UNCERTAIN)
    mailing_of(session, campaign).state = MailingState.FINISHED
    session.commit()
    return campaign


def uncertain(session: Session, campaign: Campaign) -> list[Delivery]:
    return deliveries(session, mailing_of(session, campaign).id)[1:]


def again(session: Session) -> list[Mailing]:
    query = select(Mailing).where(Mailing.resends_id.is_not(None)).order_by(Mailing.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def test_all_go_again_as_a_mailing_of_their_own_with_the_same_letter(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    path = f"/campaigns/{campaign.id}/resend"
    assert f'name="all" value="{UNCERTAIN}"' in marketer.get(f"{path}?all=1").text
    answer = marketer.post(path, data={"all": str(UNCERTAIN)})
    [made] = again(session)
    assert answer.headers["Location"] == f"/campaigns/{campaign.id}/again/{made.id}"
    original = mailing_of(session, campaign)
    assert (made.letter, made.envelope) == (original.letter, original.envelope)
    assert made.resends_id == original.id
    assert made.uncapped
    assert made.state is MailingState.RUNNING
    assert made.planned == UNCERTAIN
    to = {delivery.address_id for delivery in deliveries(session, made.id)}
    assert to == {delivery.address_id for delivery in uncertain(session, campaign)}
    assert unbalanced(session) == (2, [])


def test_what_goes_again_has_the_speed_of_the_first_until_it_gets_another(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    mailing_of(session, campaign).per_minute = 30
    session.commit()
    marketer.post(f"/campaigns/{campaign.id}/resend", data={"all": str(UNCERTAIN)})
    [made] = again(session)
    assert made.per_minute == 30
    path = f"/campaigns/{campaign.id}/again/{made.id}"
    assert f'action="{path}/speed"' in marketer.get(path).text
    answer = marketer.post(f"{path}/speed", data={"per_minute": "40"})
    assert answer.headers["Location"] == path
    [made] = again(session)
    assert (made.per_minute, mailing_of(session, campaign).per_minute) == (40, 30)


def test_one_goes_again_and_the_others_are_left(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    chosen = uncertain(session, campaign)[1]
    path = f"/campaigns/{campaign.id}/resend"
    page = marketer.get(f"{path}?letter={chosen.id}").text
    assert f'name="letter" value="{chosen.id}"' in page
    marketer.post(path, data={"letter": str(chosen.id)})
    [made] = again(session)
    assert [one.address_id for one in deliveries(session, made.id)] == [chosen.address_id]
    assert how_many_left(session, mailing_of(session, campaign).id) == UNCERTAIN - 1


def test_a_second_click_sends_nothing_twice(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    path = f"/campaigns/{campaign.id}/resend"
    one = uncertain(session, campaign)[0]
    marketer.post(path, data={"letter": str(one.id)})
    marketer.post(path, data={"letter": str(one.id)})
    marketer.post(path, data={"all": str(UNCERTAIN)})
    marketer.post(path, data={"all": str(UNCERTAIN)})
    assert [mailing.planned for mailing in again(session)] == [1, UNCERTAIN - 1]
    assert "name=" not in marketer.get(f"{path}?all=1").text.split("<main")[1].split("<form")[0]


def test_of_two_people_at_once_one_sends_each_letter(
    session: Session, campaign: Campaign, database: str
) -> None:
    staff_id = a_member_of_staff(session, "marketer").id
    mailing_id = mailing_of(session, campaign).id
    session.commit()
    engine = create_engine(database)
    made: list[Mailing | None] = []

    def late() -> None:
        with Session(engine) as other:
            made.append(
                resend(other, other.get_one(Mailing, mailing_id), None, by=staff_id, at=LATER)
            )
            other.commit()

    with Session(engine) as first:
        assert resend(first, first.get_one(Mailing, mailing_id), None, by=staff_id, at=NOON)
        second = threading.Thread(target=late)
        second.start()
        second.join(0.5)
        assert second.is_alive(), "the second waits for what the first decides"
        first.commit()
    second.join(10)
    engine.dispose()
    assert made == [None]
    assert [mailing.planned for mailing in again(session)] == [UNCERTAIN]


def test_the_audit_tells_who_did_it_and_both_pages_lead_to_each_other(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    marketer.post(f"/campaigns/{campaign.id}/resend", data={"all": str(UNCERTAIN)})
    [made] = again(session)
    told = session.scalars(select(AuditEvent).where(AuditEvent.act == "mailing.resent")).one()
    assert told.actor_id is not None
    assert told.subject_id == campaign.mailing_id
    assert told.detail == {"again_id": made.id, "count": UNCERTAIN}
    here, there = f"/campaigns/{campaign.id}", f"/campaigns/{campaign.id}/again/{made.id}"
    page = marketer.get(there).text
    assert f'href="{there}"' in marketer.get(here).text
    assert f'href="{here}"' in page
    assert f'hx-get="{there}/progress?state=running"' in page
    assert marketer.get(f"{there}/progress").status_code == 200
    assert marketer.get(f"{there}/journal").text.count("p***@mail.example") == UNCERTAIN


def test_the_books_of_the_first_mailing_stay_as_they_are(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    before = marketer.get(f"/campaigns/{campaign.id}/progress").text
    marketer.post(f"/campaigns/{campaign.id}/resend", data={"all": str(UNCERTAIN)})
    assert marketer.get(f"/campaigns/{campaign.id}/progress").text == before
    journal = marketer.get(f"/campaigns/{campaign.id}/journal?state=uncertain").text
    assert journal.count("p***@mail.example") == UNCERTAIN


def test_a_mailing_sent_again_is_paused_resumed_and_stopped_like_any(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    marketer.post(f"/campaigns/{campaign.id}/resend", data={"all": str(UNCERTAIN)})
    [made] = again(session)
    for act, state in (
        ("pause", MailingState.PAUSED),
        ("resume", MailingState.RUNNING),
        ("stop", MailingState.STOPPED),
    ):
        path = f"/campaigns/{campaign.id}/again/{made.id}"
        assert marketer.post(f"{path}/{act}").headers["Location"] == path
        assert again(session)[0].state is state
    assert mailing_of(session, campaign).state is MailingState.FINISHED
    halts = select(func.count()).where(AuditEvent.detail["mailing_id"].as_integer() == made.id)
    assert session.scalar(halts) == 5, "three acts, and how two of them ended"


def test_more_that_became_uncertain_than_the_button_said_are_asked_about_anew(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    path = f"/campaigns/{campaign.id}/resend"
    answer = marketer.post(path, data={"all": str(UNCERTAIN - 1)})
    assert answer.headers["Location"] == f"{path}?all=1"
    assert again(session) == []


def test_only_uncertain_letters_of_this_mailing_are_sent_again(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    accepted = deliveries(session, mailing_of(session, campaign).id)[0]
    for typed in (str(accepted.id), "999999", "-1", "9" * 40, "x", ""):
        marketer.post(f"/campaigns/{campaign.id}/resend", data={"letter": typed})
        marketer.get(f"/campaigns/{campaign.id}/resend?letter={typed}")
    marketer.post(f"/campaigns/{campaign.id}/resend")
    assert again(session) == []


def test_a_campaign_stopped_by_a_person_stops_all_of_it_in_that_name(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    mailing_of(session, campaign).state = MailingState.RUNNING
    session.commit()
    marketer.post(f"/campaigns/{campaign.id}/resend", data={"all": str(UNCERTAIN)})
    [made] = again(session)
    marketer.post(f"/campaigns/{campaign.id}/stop")
    assert again(session)[0].state is MailingState.STOPPED
    assert "player-stop" in marketer.get(f"/campaigns/{campaign.id}/again/{made.id}").text
    page = marketer.get(f"/campaigns/{campaign.id}").text
    assert f"/campaigns/{campaign.id}/resend" not in page


def test_while_a_mailing_is_held_paused_or_stopped_its_letters_are_not_sent_again(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    mailing = mailing_of(session, campaign)
    for state in (MailingState.PAUSED, MailingState.HELD, MailingState.STOPPED):
        mailing.state = state
        session.commit()
        answer = marketer.post(f"/campaigns/{campaign.id}/resend", data={"all": str(UNCERTAIN)})
        assert answer.status_code == 409
        with pytest.raises(WrongState):
            resend(session, mailing, None, by=1, at=NOON)
        session.rollback()
    assert again(session) == []


def test_a_mailing_of_another_campaign_is_not_found_here(
    marketer: FlaskClient, session: Session, campaign: Campaign
) -> None:
    marketer.post(f"/campaigns/{campaign.id}/resend", data={"all": str(UNCERTAIN)})
    [made] = again(session)
    other = a_campaign(session, name="Весна")
    other.mailing_id = made.id
    session.commit()
    for path in ("", "/progress", "/journal", "/resend"):
        strange = f"/campaigns/{other.id}/again/{campaign.mailing_id}{path}"
        assert marketer.get(strange).status_code == 404
    with pytest.raises(NotFound):
        mailing_by_id(session, campaign, 999_999)


@pytest.mark.parametrize("role", ["dpo", "admin", "receptionist"])
def test_only_those_who_launch_may_send_again(
    signed_in: SignIn, session: Session, campaign: Campaign, role: str
) -> None:
    client = signed_in(role)
    path = f"/campaigns/{campaign.id}/resend"
    assert client.post(path, data={"all": str(UNCERTAIN)}).status_code == 403
    assert client.get(f"{path}?all=1").status_code == 403
    assert again(session) == []


def test_looking_sends_nothing(marketer: FlaskClient, session: Session, campaign: Campaign) -> None:
    marketer.get(f"/campaigns/{campaign.id}/resend?all=1")
    assert again(session) == []
