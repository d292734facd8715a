"""Before the launch: the numbers, the lints, the test letter, the approval."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.campaigns.letter import first_document
from crm.config import Settings
from crm.consent.rules import Act, Purpose
from crm.consent.tokens import read_unsubscribe
from crm.contacts.models import Address
from crm.delivery.errand import prepare
from crm.delivery.lease import take_range
from crm.delivery.models import Delivery, Mailing
from crm.delivery.states import Lane, MailingState
from crm.delivery.window import intend
from tests.conftest import NOON, Time
from tests.crm.campaigns import (
    BLOCKS,
    a_campaign,
    a_document,
    approve,
    approved,
    mailing_of,
)
from tests.factories import (
    a_clinic,
    a_contact,
    a_willing_contact,
    an_event,
    email_of,
)

SignIn = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def _at_noon(time: Time) -> None:
    pass


def mailings(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Mailing)) or 0


def test_the_page_says_who_gets_the_letter_and_who_does_not_and_why(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    for _ in range(3):
        a_willing_contact(session)
    a_contact(session)
    refused = a_willing_contact(session)
    an_event(session, Act.OPTED_OUT, email_of(session, refused), at=NOON)
    campaign = a_campaign(session)
    page = signed_in("marketer").get(f"/campaigns/{campaign.id}/check").text
    assert '<p class="cl-big">3</p>' in page
    assert 'name="count" value="3"' in page
    assert page.count('<dd class="cl-tnum">1</dd>') == 2


@pytest.mark.parametrize(
    ("subject", "blocks", "place"),
    [
        ("Гарантируем здоровье", BLOCKS, "#subject"),
        ("Мы открылись", BLOCKS[:2], "#cl-blocks"),
        (
            "Мы открылись",
            [BLOCKS[0], {"type": "text", "html": "<p>Ваш гастрит</p>"}, BLOCKS[2]],
            "#block-1",
        ),
        ("Мы открылись", [{"type": "image", "src": "", "alt": "Вид"}, *BLOCKS], "#block-0"),
        (
            "Мы открылись",
            [{"type": "button", "text": "Сюда", "href": "{{ preferences_url }}"}, *BLOCKS],
            "#block-0",
        ),
    ],
)
def test_a_letter_with_an_error_shows_its_place_and_cannot_be_approved(
    signed_in: SignIn, session: Session, subject: str, blocks: list[dict[str, object]], place: str
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = a_campaign(session, subject=subject, document=a_document(*blocks))
    client = signed_in("marketer")
    page = client.get(f"/campaigns/{campaign.id}/check").text
    assert f"/compose{place}" in page
    assert 'name="count"' not in page
    assert approve(client, campaign).status_code == 409
    assert mailings(session) == 0


def test_the_words_a_new_letter_begins_with_do_not_leave(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = a_campaign(session, document=first_document())
    client = signed_in("marketer")
    page = client.get(f"/campaigns/{campaign.id}/check").text
    assert "/compose#block-0" in page
    assert "/compose#block-1" in page
    assert approve(client, campaign).status_code == 409


def test_while_the_details_of_the_clinic_are_missing_nothing_is_sent(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session).inn = ""
    a_willing_contact(session)
    campaign = a_campaign(session)
    client = signed_in("marketer")
    assert "cl-note-bad" in client.get(f"/campaigns/{campaign.id}/check").text
    assert approve(client, campaign).status_code == 409
    test = {"address": "me@clinic.example"}
    assert client.post(f"/campaigns/{campaign.id}/test", data=test).status_code == 409
    assert mailings(session) == 0


def test_a_test_letter_is_the_real_one_with_a_banner_and_a_way_out_that_works(
    signed_in: SignIn, session: Session, settings: Settings
) -> None:
    a_clinic(session)
    campaign = a_campaign(session)
    client = signed_in("marketer")
    test = {"address": " Boss@Clinic.example ", "person": "1"}
    assert client.post(f"/campaigns/{campaign.id}/test", data=test).status_code == 302
    work = take_range(session, Lane.SERVICE, at=NOON)
    assert work is not None
    session.commit()
    [recipient] = intend(session, work, limit=4, at=NOON)
    assert recipient.value == "boss@clinic.example"
    raw = (
        prepare(session, work.mailing_id, settings).letter(recipient, recipient.value, at=NOON).body
    )
    head = raw.decode().split("\r\n\r\n")[0]
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head
    assert "List-Id: <news.clinic.example>" in head
    link = head.split("List-Unsubscribe: <")[1].split(">")[0]
    token = link.rpartition("/u/")[2]
    right = read_unsubscribe(token, keys=settings.secret_keys)
    assert right.purpose is Purpose.MARKETING
    assert right.address_id == recipient.address_id
    letter = session.scalars(select(Mailing)).one().letter
    assert str(letter["subject"][0]).startswith("[Проба] ")
    assert "Константин Александрович" in str(letter["html"])


def test_the_address_of_a_test_is_remembered_for_the_person_who_typed_it(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    campaign = a_campaign(session)
    client, other = signed_in("marketer"), signed_in("marketer")
    client.post(f"/campaigns/{campaign.id}/test", data={"address": "boss@clinic.example"})
    assert 'value="boss@clinic.example"' in client.get(f"/campaigns/{campaign.id}/check").text
    assert "boss@clinic.example" not in other.get(f"/campaigns/{campaign.id}/check").text


@pytest.mark.parametrize(
    "typed", ["", "nobody", "a@b", "a@b.example\r\nBcc: x@y.example", "я@почта"]
)
def test_a_test_to_no_address_is_refused_in_its_field(
    signed_in: SignIn, session: Session, typed: str
) -> None:
    a_clinic(session)
    campaign = a_campaign(session)
    answer = signed_in("marketer").post(f"/campaigns/{campaign.id}/test", data={"address": typed})
    assert answer.status_code == 422
    assert 'id="address-error"' in answer.text
    assert mailings(session) == 0


def test_a_test_letter_is_no_way_around_a_refusal(signed_in: SignIn, session: Session) -> None:
    a_clinic(session)
    campaign = a_campaign(session)
    a_contact(session, email="never@mail.example")
    refused = a_willing_contact(session, email="refused@mail.example")
    an_event(session, Act.OPTED_OUT, email_of(session, refused), at=NOON + timedelta(seconds=1))
    session.commit()
    client = signed_in("marketer")
    for email in ("never@mail.example", "refused@mail.example"):
        answer = client.post(f"/campaigns/{campaign.id}/test", data={"address": email})
        assert answer.status_code == 422
    assert mailings(session) == 0


def test_an_approval_freezes_the_letter_and_writes_down_who_said_how_many(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    for _ in range(2):
        a_willing_contact(session)
    campaign = approved(signed_in("marketer"), session, count=2)
    mailing = mailing_of(session, campaign)
    assert mailing.state is MailingState.SCHEDULED
    assert mailing.due_at == NOON
    assert mailing.envelope["list_id"] == "news.clinic.example"
    assert (campaign.approved_count, campaign.approved_at) == (2, NOON)
    line = session.scalars(select(AuditEvent).where(AuditEvent.act == "campaign.approved")).one()
    assert line.actor_id == campaign.approved_by
    assert line.detail["count"] == 2


def test_when_more_people_would_get_it_than_the_button_said_it_is_shown_again(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    for _ in range(3):
        a_willing_contact(session)
    campaign = a_campaign(session)
    client = signed_in("marketer")
    answer = approve(client, campaign, count=2)
    assert answer.status_code == 409
    assert 'name="count" value="3"' in answer.text
    assert mailings(session) == 0
    assert approve(client, campaign, count=3).status_code == 302


def test_when_somebody_unsubscribed_in_between_the_approval_stands(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = a_campaign(session)
    assert approve(signed_in("marketer"), campaign, count=2).status_code == 302


def test_a_letter_saved_after_the_page_was_shown_is_not_approved(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = a_campaign(session)
    assert approve(signed_in("marketer"), campaign, revision=0).status_code == 409
    assert mailings(session) == 0


def test_nobody_is_written_to_when_nobody_has_agreed(signed_in: SignIn, session: Session) -> None:
    a_clinic(session)
    a_contact(session)
    campaign = a_campaign(session)
    client = signed_in("marketer")
    assert 'name="count"' not in client.get(f"/campaigns/{campaign.id}/check").text
    assert approve(client, campaign, count=0).status_code == 409
    assert mailings(session) == 0


def test_a_time_is_one_of_the_clinic_s_zone(signed_in: SignIn, session: Session) -> None:
    a_clinic(session).zone = "Asia/Vladivostok"
    a_willing_contact(session)
    campaign = a_campaign(session)
    assert (
        approve(signed_in("marketer"), campaign, when="later", on="2027-03-02T10:00").status_code
        == 302
    )
    assert mailing_of(session, campaign).due_at == datetime(2027, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "tomorrow",
        "2027-03-01",
        "2026-03-02T10:00",
        "2029-03-02T10:00",
        "2027-03-02T10:00Z",
        "9" * 40,
        "0001-01-01T00:00",
        "9999-12-31T23:59",
    ],
)
def test_a_time_that_cannot_be_is_refused_in_its_field_and_kept(
    signed_in: SignIn, session: Session, typed: str
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = a_campaign(session)
    answer = approve(signed_in("marketer"), campaign, when="later", on=typed)
    assert answer.status_code == 422
    assert 'id="on-error"' in answer.text
    assert f'value="{typed}"' in answer.text
    assert mailings(session) == 0


@pytest.mark.parametrize("typed", ["", "-1", "1.5", "²", "many", "9" * 30])
def test_an_approval_without_a_number_is_refused(
    signed_in: SignIn, session: Session, typed: str
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = a_campaign(session)
    answer = signed_in("marketer").post(
        f"/campaigns/{campaign.id}/approve", data={"count": typed, "revision": "1"}
    )
    assert answer.status_code == 422
    assert mailings(session) == 0


def test_of_many_approvals_at_once_one_makes_a_mailing(
    signed_in: SignIn, session: Session, app: Flask
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    campaign = a_campaign(session)
    path, sent = f"/campaigns/{campaign.id}/approve", {"count": 1, "revision": 1, "when": "now"}
    clients = [signed_in("marketer") for _ in range(4)]
    together = threading.Barrier(len(clients))
    statuses: list[int] = []

    def press(client: FlaskClient) -> None:
        together.wait()
        statuses.append(client.post(path, data=sent).status_code)

    threads = [threading.Thread(target=press, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [302] * 4
    assert mailings(session) == 1
    approvals = select(func.count()).where(AuditEvent.act == "campaign.approved")
    assert session.scalar(approvals) == 1


def test_a_test_letter_makes_no_contact(signed_in: SignIn, session: Session) -> None:
    a_clinic(session)
    campaign = a_campaign(session)
    signed_in("marketer").post(
        f"/campaigns/{campaign.id}/test", data={"address": "boss@clinic.example"}
    )
    delivery = session.scalars(select(Delivery)).one()
    assert delivery.contact_id is None
    assert session.get_one(Address, delivery.address_id).value == "boss@clinic.example"
