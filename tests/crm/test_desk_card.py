from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from crm.appointments.models import Appointment, AppointmentState, Request, RequestKind
from crm.config import Settings
from crm.consent import gate
from crm.consent.models import ConsentEvent, Suppression
from crm.consent.rules import Act, Channel, Purpose, Reason
from crm.consent.service import refusal_now
from crm.contacts.models import Contact, ContactAddress
from crm.delivery.models import Delivery, Outcome
from crm.delivery.states import DeliveryState
from crm.delivery.unprinted import UNPRINTABLE
from tests.crm.desk_support import a_phone, acts, counted, text_of
from tests.factories import (
    KEYS,
    NOON,
    a_contact,
    a_running_mailing,
    a_willing_contact,
    an_event,
    email_of,
)

SignedIn = Callable[..., FlaskClient]


def test_the_card_shows_who_where_and_what_is_allowed(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_willing_contact(session, email="anna@mail.example")
    other = a_contact(session, last_name="Громов", email="anna@mail.example")
    session.commit()
    page = signed_in("receptionist").get(f"/contacts/{contact.id}")
    assert page.status_code == 200
    assert "anna@mail.example" in page.text
    assert f'href="/contacts/{other.id}"' in page.text
    assert page.text.count("cl-chip-on") >= 2
    assert acts(session) == ["contact.viewed"]


def test_the_card_costs_as_many_queries_with_much_history_as_with_little(
    signed_in: SignedIn, session: Session
) -> None:
    quiet, busy = a_willing_contact(session), a_willing_contact(session)
    for hour in range(30):
        an_event(session, Act.ASKED, email_of(session, busy), at=NOON + timedelta(hours=hour))
    ways = [f"/contacts/{quiet.id}", f"/contacts/{busy.id}"]
    session.commit()
    client = signed_in("dpo")
    client.get(ways[0])
    with counted() as little:
        client.get(ways[0])
    with counted() as much:
        client.get(ways[1])
    assert len(much) == len(little)


def test_the_history_says_in_the_readers_language_why_a_letter_failed(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_willing_contact(session)
    mailing = a_running_mailing(session)
    letter = session.scalars(select(Delivery.id)).one()
    failed = Outcome(
        delivery_id=letter,
        mailing_id=mailing.id,
        state=DeliveryState.FAILED,
        at=NOON,
        reply=UNPRINTABLE,
    )
    session.add(failed)
    session.commit()
    page = signed_in("dpo").get(f"/contacts/{contact.id}?lang=ru").text
    assert "Письмо не удаётся" in page


def test_the_history_has_pages_and_loses_nothing(signed_in: SignedIn, session: Session) -> None:
    contact = a_contact(session)
    for hour in range(45):
        an_event(session, Act.ASKED, email_of(session, contact), at=NOON + timedelta(hours=hour))
    session.commit()
    client, way, moments = signed_in("dpo"), f"/contacts/{contact.id}", []
    while way:
        page = client.get(way).text
        moments += [line for line in page.split("<li>") if "cl-timeline-mark" in line]
        older = page.partition('rel="next" href="')[2].partition('"')[0]
        way = older.replace("&amp;", "&").partition("#")[0]
    assert len(moments) == 45


def test_a_made_up_place_in_the_history_is_harmless(signed_in: SignedIn, session: Session) -> None:
    contact = a_contact(session)
    session.commit()
    client = signed_in("dpo")
    for mark in ("x", "1-consent", "99999999999999999-zzz-1", "0-consent-0", "1-a-" + "9" * 18):
        assert client.get(f"/contacts/{contact.id}?until={mark}").status_code == 200, mark


def test_why_somebody_comes_is_no_business_of_a_marketer(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_contact(session)
    contact.note = "Звонить после шести"
    request = Request(
        kind=RequestKind.APPOINTMENT, contact_id=contact.id, source="form:x", received_at=NOON
    )
    session.add(request)
    session.add(
        Appointment(
            contact_id=contact.id,
            state=AppointmentState.CONFIRMED,
            place="Кабинет 4",
            starts_at=NOON,
            created_at=NOON,
        )
    )
    session.commit()
    way = f"/contacts/{contact.id}"
    seen, hidden = signed_in("receptionist").get(way).text, signed_in("marketer").get(way).text
    for words in ("Кабинет 4", "Звонить после шести"):
        assert words in seen
        assert words not in hidden


def test_a_destroyed_person_leaves_an_empty_card(signed_in: SignedIn, session: Session) -> None:
    contact = a_contact(session, last_name="Тайна", email="secret@mail.example")
    contact.destroyed_at = NOON
    session.commit()
    page = signed_in("dpo").get(f"/contacts/{contact.id}")
    assert page.status_code == 200
    assert "Тайна" not in page.text
    assert "secret@" not in page.text


@pytest.mark.usefixtures("time")
@pytest.mark.parametrize(
    ("role", "how"),
    [("receptionist", "phone"), ("marketer", "desk"), ("dpo", "letter"), ("admin", "phone")],
)
def test_any_member_of_staff_records_a_refusal_by_one_post(
    signed_in: SignedIn, session: Session, role: str, how: str
) -> None:
    contact = a_willing_contact(session)
    email = email_of(session, contact)
    a_running_mailing(session)
    session.commit()
    answer = signed_in(role).post(f"/contacts/{contact.id}/opt-out", data={"how": how})
    assert answer.status_code == 200
    assert "1 " in text_of(answer.text)
    reason = refusal_now(session, email, Purpose.MARKETING, keys=KEYS, at=NOON)
    assert reason is Reason.OPTED_OUT
    event = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc()).limit(1)).one()
    assert (event.act, event.source, event.contact_id) == (Act.OPTED_OUT, how, contact.id)
    assert event.actor_id is not None
    assert "contact.opted_out" in acts(session)


def test_a_refusal_covers_sms_and_calls_and_whoever_shares_the_address(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_willing_contact(session, email="family@mail.example")
    a_contact(session, email="family@mail.example")
    a_phone(session, contact, "+79263042551")
    session.commit()
    client = signed_in("receptionist")
    client.post(f"/contacts/{contact.id}/opt-out")
    stopped = {
        event.channel
        for event in session.scalars(select(ConsentEvent).where(ConsentEvent.act == Act.OPTED_OUT))
    }
    assert stopped == set(Channel)
    assert len(session.scalars(select(Suppression)).all()) == 2
    assert client.post(f"/contacts/{contact.id}/opt-out").status_code == 200


@pytest.mark.usefixtures("time")
def test_while_a_sender_is_stuck_nobody_is_told_done(
    signed_in: SignedIn, session: Session, settings: Settings
) -> None:
    contact = a_willing_contact(session)
    session.commit()
    client = signed_in("receptionist")
    engine = create_engine(settings.database_url)
    with engine.connect() as sender:
        sender.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": gate.KEY})
        answer = client.post(f"/contacts/{contact.id}/opt-out")
        assert answer.status_code == 202
        assert "cl-note-on" not in answer.text
    engine.dispose()
    email = email_of(session, contact)
    assert refusal_now(session, email, Purpose.MARKETING, keys=KEYS, at=NOON) is Reason.OPTED_OUT


def test_a_refusal_that_makes_no_sense_is_refused(signed_in: SignedIn, session: Session) -> None:
    contact = a_willing_contact(session)
    session.commit()
    client = signed_in("receptionist")
    for wrong in (
        {"how": "telepathy"},
        {"address_id": "x"},
        {"address_id": "9" * 30},
        {"address_id": "1000"},
    ):
        assert client.post(f"/contacts/{contact.id}/opt-out", data=wrong).status_code == 422
    stopped = select(ConsentEvent).where(ConsentEvent.act == Act.OPTED_OUT)
    assert session.scalars(stopped).all() == []


def test_nobody_on_the_staff_lifts_a_refusal(signed_in: SignedIn, session: Session) -> None:
    contact = a_willing_contact(session)
    email = email_of(session, contact)
    an_event(session, Act.OPTED_OUT, email)
    session.commit()
    for role in ("receptionist", "marketer", "dpo", "admin"):
        assert signed_in(role).post(f"/contacts/{contact.id}/lift").status_code == 403
    assert acts(session) == ["contact.lift_refused"] * 4
    assert refusal_now(session, email, Purpose.MARKETING, keys=KEYS, at=NOON) is Reason.OPTED_OUT
    assert session.scalars(select(Suppression)).one().lifted_at is None


def test_what_only_the_stop_list_remembers_shows_on_the_card(
    signed_in: SignedIn, session: Session
) -> None:
    old = a_willing_contact(session, email="again@mail.example")
    email = email_of(session, old)
    an_event(session, Act.OPTED_OUT, email)
    email.value = email.display = None
    email.destroyed_at = NOON
    session.flush()
    new = a_contact(session, email="again@mail.example")
    session.commit()
    page = signed_in("dpo").get(f"/contacts/{new.id}").text
    assert "cl-chip-no" in page
    assert "cl-chip-no" in signed_in("dpo").get("/contacts").text


READING = {"desk.contacts": "/contacts", "desk.contact": "/contacts/{id}"}
EDITING = {"contacts.new": "/contacts/new", "contacts.change": "/contacts/{id}/edit"}


@pytest.mark.parametrize(
    ("role", "reads", "edits", "audits"),
    [
        ("receptionist", 200, 200, 403),
        ("marketer", 200, 403, 403),
        ("dpo", 200, 200, 200),
        ("admin", 403, 403, 200),
    ],
)
def test_each_role_reaches_what_its_work_needs(
    signed_in: SignedIn, session: Session, role: str, reads: int, edits: int, audits: int
) -> None:
    contact = a_contact(session)
    session.commit()
    client = signed_in(role)
    assert client.get("/").status_code == 200
    for way in READING.values():
        assert client.get(way.format(id=contact.id)).status_code == reads
    for way in EDITING.values():
        assert client.get(way.format(id=contact.id)).status_code == edits
    assert client.get("/audit").status_code == audits


def test_a_stranger_learns_nothing(client: FlaskClient, session: Session) -> None:
    contact = a_contact(session, last_name="Тайна")
    session.commit()
    ways = ["/", "/audit", *READING.values(), *EDITING.values()]
    for way in ways:
        answer = client.get(way.format(id=contact.id))
        assert answer.status_code == 302
        assert "Тайна" not in answer.text
    for way in ("opt-out", "lift", "edit"):
        assert client.post(f"/contacts/{contact.id}/{way}").status_code == 401


def test_a_get_stops_and_lifts_nothing(signed_in: SignedIn, session: Session) -> None:
    contact = a_willing_contact(session)
    session.commit()
    for way in ("opt-out", "lift"):
        assert signed_in("dpo").get(f"/contacts/{contact.id}/{way}").status_code == 405


def test_a_person_who_is_not_there_is_not_found(signed_in: SignedIn) -> None:
    client = signed_in("dpo")
    for number in (1, 2**63 - 1, 2**63, 10**30):
        assert client.get(f"/contacts/{number}").status_code == 404
        assert client.post(f"/contacts/{number}/opt-out").status_code == 404


def test_somebody_without_an_address_has_nothing_to_stop(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_contact(session)
    session.query(ContactAddress).delete()
    session.commit()
    client = signed_in("dpo")
    assert client.get(f"/contacts/{contact.id}").status_code == 200
    assert client.post(f"/contacts/{contact.id}/opt-out").status_code == 422
    assert session.get(Contact, contact.id) is not None
