"""Under way and after: figures, pause, resume, stop, the journal, and who may do what."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.campaigns.models import Campaign
from crm.consent import gate
from crm.consent.rules import Reason
from crm.delivery.close import wind_down
from crm.delivery.models import Delivery, Retry
from crm.delivery.states import DeliveryState, Lane, MailingState
from tests.conftest import NOON, Time
from tests.crm.campaigns import a_campaign, approved, deliveries, ended, launch, mailing_of, taken
from tests.factories import a_clinic, a_willing_contact

SignIn = Callable[..., FlaskClient]
PEOPLE = 7


@pytest.fixture(autouse=True)
def _at_noon(time: Time) -> None:
    pass


@pytest.fixture
def marketer(signed_in: SignIn) -> FlaskClient:
    return signed_in("marketer")


@pytest.fixture
def running(session: Session, marketer: FlaskClient) -> Campaign:
    a_clinic(session)
    for _ in range(PEOPLE):
        a_willing_contact(session)
    campaign = approved(marketer, session, count=PEOPLE)
    launch(session)
    return campaign


def letters(session: Session, campaign: Campaign) -> list[Delivery]:
    return deliveries(session, mailing_of(session, campaign).id)


def one_of_each(session: Session, campaign: Campaign) -> None:
    """Accepted, withheld, failed, uncertain, on the wire, waiting for another try, queued."""
    one = letters(session, campaign)
    ended(session, one[0], DeliveryState.ACCEPTED, code=250, reply="2.0.0 Ok", event_id=11)
    ended(session, one[1], DeliveryState.WITHHELD, reason=Reason.OPTED_OUT, event_id=12)
    ended(session, one[2], DeliveryState.FAILED, code=550, reply="5.1.1 no such mailbox")
    ended(session, one[3], DeliveryState.UNCERTAIN)
    taken(session, *one[4:6])
    session.add(
        Retry(
            delivery_id=one[5].id,
            mailing_id=one[5].mailing_id,
            lane=Lane.BULK,
            provider="other",
            due_at=NOON + timedelta(minutes=15),
            tries=1,
            reply="4.7.1 later",
        )
    )
    session.commit()


def test_the_figures_add_up_on_the_page(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    one_of_each(session, running)
    page = marketer.get(f"/campaigns/{running.id}").text
    sentence = page.split('<p class="cl-sum">')[1].split("</p>")[0]
    numbers = [int(word) for word in sentence.split() if word.isdigit()]
    assert numbers == [7, 1, 2, 1, 1, 1, 1]
    assert "·" not in sentence
    assert 'hx-trigger="every 2s"' in page


def test_polling_goes_on_while_something_may_change_and_ends_with_286(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    path = f"/campaigns/{running.id}/progress?state="
    assert marketer.get(path + "running").status_code == 200
    assert "HX-Refresh" not in marketer.get(path + "running").headers
    for delivery in letters(session, running):
        ended(session, delivery, DeliveryState.ACCEPTED)
    mailing_of(session, running).state = MailingState.FINISHED
    session.commit()
    last = marketer.get(path + "running")
    assert last.status_code == 286
    assert last.headers["HX-Refresh"] == "true"
    assert "hx-get" not in marketer.get(f"/campaigns/{running.id}").text


def test_a_pause_is_told_with_its_numbers_and_ends_with_a_resume(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    one_of_each(session, running)
    assert marketer.post(f"/campaigns/{running.id}/pause").status_code == 302
    assert mailing_of(session, running).state is MailingState.PAUSED
    told = session.scalars(select(AuditEvent).where(AuditEvent.act == "campaign.halted")).one()
    assert told.detail["passed"] is True
    assert told.detail["took_ms"] < 2_000
    assert [told.detail[name] for name in ("accepted", "wire", "rest")] == [1, 1, 2]
    assert marketer.post(f"/campaigns/{running.id}/pause").status_code == 409
    assert marketer.post(f"/campaigns/{running.id}/resume").status_code == 302
    assert mailing_of(session, running).state is MailingState.RUNNING


def test_a_stop_is_told_with_its_numbers_and_is_for_good(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    first = letters(session, running)[0]
    ended(session, first, DeliveryState.ACCEPTED)
    marketer.post(f"/campaigns/{running.id}/stop")
    while wind_down(session, at=NOON):
        session.commit()
    page = marketer.get(f"/campaigns/{running.id}").text
    told = page.split('cl-timeline"')[1].split("<b>")[1].split("</b>")[0]
    assert [word.strip(",.:") for word in told.split() if word.strip(",.:").isdigit()] == [
        "1",
        "0",
        "6",
    ]
    for act in ("resume", "pause", "stop"):
        assert marketer.post(f"/campaigns/{running.id}/{act}").status_code == 409


def test_when_a_sender_does_not_come_out_of_the_gate_the_answer_says_so_and_the_stop_stands(
    marketer: FlaskClient, running: Campaign, session: Session, database: str
) -> None:
    elsewhere: Engine = create_engine(database)
    with elsewhere.connect() as stuck:
        stuck.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": gate.KEY})
        marketer.post(f"/campaigns/{running.id}/stop")
        stuck.rollback()
    elsewhere.dispose()
    assert mailing_of(session, running).state is MailingState.STOPPED
    told = session.scalars(select(AuditEvent).where(AuditEvent.act == "campaign.halted")).one()
    assert told.detail["passed"] is False
    assert gate.BARRIER_MS <= told.detail["took_ms"] < 2_000
    assert marketer.get(f"/campaigns/{running.id}").status_code == 200


def test_a_mailing_that_missed_its_time_asks_and_goes_when_told(
    marketer: FlaskClient, session: Session
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = approved(marketer, session)
    mailing = mailing_of(session, campaign)
    mailing.state, mailing.due_at = MailingState.OVERDUE, NOON - timedelta(hours=3)
    session.commit()
    launch(session)
    assert mailing_of(session, campaign).planned is None
    page = marketer.get(f"/campaigns/{campaign.id}").text
    assert f"/campaigns/{campaign.id}/send-now" in page
    assert marketer.post(f"/campaigns/{campaign.id}/send-now").status_code == 302
    assert marketer.post(f"/campaigns/{campaign.id}/send-now").status_code == 409
    launch(session)
    assert mailing_of(session, campaign).planned == 1


def test_a_scheduled_mailing_can_be_cancelled_and_nobody_gets_it(
    marketer: FlaskClient, session: Session
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = approved(marketer, session)
    assert marketer.post(f"/campaigns/{campaign.id}/stop").status_code == 302
    launch(session)
    assert mailing_of(session, campaign).planned is None
    assert marketer.get(f"/campaigns/{campaign.id}").status_code == 200


def test_a_draft_cannot_be_paused_or_followed(marketer: FlaskClient, session: Session) -> None:
    campaign = a_campaign(session)
    for act in ("pause", "resume", "stop", "send-now"):
        assert marketer.post(f"/campaigns/{campaign.id}/{act}").status_code == 409
    assert marketer.get(f"/campaigns/{campaign.id}/journal").status_code == 409
    assert marketer.get(f"/campaigns/{campaign.id}/progress").status_code == 409
    assert marketer.get("/campaigns/999999/progress").status_code == 404


def test_the_journal_tells_what_became_of_each_letter_and_masks_the_address(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    one_of_each(session, running)
    page = marketer.get(f"/campaigns/{running.id}/journal").text
    assert page.count("p***@mail.example") == PEOPLE
    assert "person" not in page.split("<tbody>")[1]
    assert "550 5.1.1 no such mailbox" in page
    assert re.search(r"cl-sub\">[^<]*\b12\b", page), "the ledger event that decided"


def test_the_journal_says_in_the_readers_language_what_no_server_has_said(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    one = letters(session, running)
    ended(session, one[0], DeliveryState.FAILED, reply="The relay closed the connection.")
    ended(session, one[1], DeliveryState.FAILED, reply="The relay refuses STARTTLS: 454 Not now.")
    ended(session, one[2], DeliveryState.FAILED, code=550, reply="Rejected: Spam.")
    session.commit()
    page = marketer.get(f"/campaigns/{running.id}/journal?lang=ru").text
    assert "Почтовый сервер закрыл соединение." in page
    assert "The relay refuses STARTTLS" not in page
    assert "454 Not now" in page
    assert "550 Rejected: Spam." in page, "a server's words stay as they are"


@pytest.mark.parametrize("state", list(DeliveryState))
def test_the_journal_shows_one_state_as_many_times_as_the_figures_count_it(
    marketer: FlaskClient, running: Campaign, session: Session, state: DeliveryState
) -> None:
    one_of_each(session, running)
    page = marketer.get(f"/campaigns/{running.id}/journal?state={state.value}").text
    expected = 2 if state is DeliveryState.QUEUED else 1
    assert page.count("p***@mail.example") == expected


def test_the_journal_is_read_page_by_page_without_a_gap(
    marketer: FlaskClient, session: Session
) -> None:
    a_clinic(session)
    for _ in range(60):
        a_willing_contact(session)
    campaign = approved(marketer, session, count=60)
    launch(session)
    path = f"/campaigns/{campaign.id}/journal"
    first = marketer.get(path).text
    last_shown = letters(session, campaign)[49].id
    assert first.count("p***@") == 50
    assert f"after={last_shown}" in first
    second = marketer.get(f"{path}?after={last_shown}").text
    assert second.count("p***@") == 10
    back = letters(session, campaign)[50].id
    assert marketer.get(f"{path}?before={back}").text.count("p***@") == 50


def test_nonsense_in_the_address_of_the_journal_is_ignored(
    marketer: FlaskClient, running: Campaign
) -> None:
    path = f"/campaigns/{running.id}/journal"
    for query in ("state=lost", "reason=%00", "after=-1", "before=x", "after=" + "9" * 40):
        assert marketer.get(f"{path}?{query}").status_code == 200


LOOKS = ("/campaigns", "/campaigns/{id}", "/campaigns/{id}/journal", "/campaigns/{id}/preview")
ACTS = (
    "copy",
    "letter",
    "lines",
    "test",
    "approve",
    "pause",
    "resume",
    "stop",
    "speed",
    "send-now",
)


@pytest.mark.parametrize("role", ["admin", "receptionist"])
def test_those_who_neither_write_nor_watch_see_nothing(
    signed_in: SignIn, running: Campaign, role: str
) -> None:
    client = signed_in(role)
    for path in (*LOOKS, "/campaigns/new", "/campaigns/{id}/compose", "/campaigns/{id}/check"):
        assert client.get(path.format(id=running.id)).status_code == 403
    for act in ACTS:
        assert client.post(f"/campaigns/{running.id}/{act}").status_code == 403


def test_the_person_in_charge_of_personal_data_may_look_and_not_touch(
    signed_in: SignIn, running: Campaign, session: Session
) -> None:
    client = signed_in("dpo")
    for path in LOOKS:
        assert client.get(path.format(id=running.id)).status_code == 200
    for act in ACTS:
        assert client.post(f"/campaigns/{running.id}/{act}").status_code == 403
    assert "<form" not in client.get(f"/campaigns/{running.id}").text.split("<main")[1]
    draft = a_campaign(session)
    away = client.get(f"/campaigns/{draft.id}")
    assert away.headers["Location"] == f"/campaigns/{draft.id}/check"
    page = client.get(away.headers["Location"])
    assert page.status_code == 200
    assert "<form" not in page.text.split("<main")[1]


def test_a_stranger_is_led_to_the_sign_in(client: FlaskClient, running: Campaign) -> None:
    for path in (*LOOKS, "/campaigns/new", "/campaigns/{id}/compose", "/campaigns/{id}/check"):
        answer = client.get(path.format(id=running.id))
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/login")
    for act in ACTS:
        assert client.post(f"/campaigns/{running.id}/{act}").status_code == 401


def test_the_list_shows_each_campaign_with_its_state_and_progress(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    ended(session, letters(session, running)[0], DeliveryState.ACCEPTED)
    a_campaign(session, name="Черновик весны")
    page = marketer.get("/campaigns").text
    assert page.index("Черновик весны") < page.index(f'/campaigns/{running.id}"')
    assert f'value="1" max="{PEOPLE}"' in page


def test_an_empty_list_says_what_to_do(marketer: FlaskClient) -> None:
    page = marketer.get("/campaigns").text
    assert "cl-empty" in page
    assert "/campaigns/new" in page
