"""The hosted form, through HTTP, against a real database: what a site's visitor relies on."""

import contextvars
import hashlib
import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from crm.app import create_app
from crm.appointments.models import Request, RequestKind
from crm.audit.models import AuditEvent
from crm.config import Settings
from crm.consent.models import ConsentEvent, ConsentPayload, ConsentText
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.texts import publish
from crm.contacts.models import Address, Contact, ContactAddress
from crm.db import db
from crm.delivery.models import Delivery, Mailing
from crm.intake.models import Form, Submission
from crm.web.limits import limiter
from tests.conftest import NOON, Time
from tests.factories import a_clinic, a_willing_contact, consent_texts, email_of

SITE = "https://clinic.example"
_ips = itertools.count(1)

pytestmark = pytest.mark.usefixtures("time")


class Stranger(FlaskClient):
    """Comes from outside: nothing of the test's own context is there when a request is served."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return contextvars.Context().run(super().open, *args, **kwargs)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.test_client_class = Stranger
    return app.test_client()


@pytest.fixture
def texts(session: Session) -> dict[str, ConsentText]:
    a_clinic(session)
    return consent_texts(session, at=NOON - timedelta(days=30))


@pytest.fixture
def form(session: Session, texts: dict[str, ConsentText]) -> Form:
    return a_form(session, "question")


def a_form(session: Session, key: str, **given: Any) -> Form:
    form = Form(
        key=key,
        title_ru="Задать вопрос",
        title_en="Ask a question",
        text_keys=["processing", "marketing_email"],
        origins=[SITE],
        created_at=NOON,
        **{"kind": RequestKind.QUESTION, **given},
    )
    session.add(form)
    session.commit()
    return form


def typed(texts: dict[str, ConsentText], **changes: Any) -> dict[str, Any]:
    """A correct submission; ``marketing="yes"`` ticks the second box."""
    whole: dict[str, Any] = {
        "last_name": "Иванова",
        "first_name": "Анна",
        "patronymic": "Сергеевна",
        "email": "anna@mail.example",
        "phone": "+7 921 123-45-67",
        "message": "Когда вы открыты?",
        "consent.processing": str(texts["processing"].id),
    }
    if changes.pop("marketing", ""):
        whole["consent.marketing_email"] = str(texts["marketing_email"].id)
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def post(client: FlaskClient, **given: Any) -> TestResponse:
    """Post as a page of the clinic's site does, each time from another network address."""
    said = {"Origin": SITE, "X-Forwarded-For": f"198.51.100.{next(_ips) % 250}"}
    headers = {**said, **given.pop("headers", {})}
    return client.post(
        f"/f/{given.pop('key', 'question')}",
        headers={name: value for name, value in headers.items() if value is not None},
        **given,
    )


def stored(session: Session) -> dict[str, int]:
    session.rollback()
    tables = (Contact, Address, ConsentEvent, Request, Submission, Delivery)
    return {
        table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
        for table in tables
    }


NOTHING = dict.fromkeys(
    ("contacts", "addresses", "consent_events", "requests", "submissions", "deliveries"), 0
)


class TestShown:
    def test_the_form_shows_one_unticked_box_per_text_with_its_version(
        self, client: FlaskClient, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        page = client.get(f"/f/{form.key}").text
        for key, text in texts.items():
            assert f'name="consent.{key}"' in page
            assert f'value="{text.id}"' in page
            assert f"/texts/{text.id}" in page
        assert "checked" not in page

    def test_it_sets_no_cookie_runs_no_script_and_may_be_framed_by_its_sites_only(
        self, client: FlaskClient, form: Form
    ) -> None:
        answer = client.get(f"/f/{form.key}?embed=1")
        assert "Set-Cookie" not in answer.headers
        assert "<script" not in answer.text
        assert f"frame-ancestors {SITE}" in answer.headers["Content-Security-Policy"]

    def test_it_speaks_the_language_that_the_address_names(
        self, client: FlaskClient, form: Form
    ) -> None:
        assert "Ask a question" in client.get(f"/f/{form.key}?lang=en").text
        assert "Задать вопрос" in client.get(f"/f/{form.key}?lang=ru").text

    def test_our_own_page_lets_a_browser_send_its_origin(
        self, client: FlaskClient, form: Form
    ) -> None:
        assert client.get(f"/f/{form.key}").headers["Referrer-Policy"] == "same-origin"

    def test_an_unknown_a_closed_and_an_unready_form_say_so(
        self, client: FlaskClient, session: Session, form: Form
    ) -> None:
        a_form(session, "old", active=False)
        bare = a_form(session, "bare")
        bare.text_keys = ["marketing_email"]
        session.commit()
        assert client.get("/f/none").status_code == 404
        assert client.get("/f/old").status_code == 404
        assert client.get("/f/bare").status_code == 503

    def test_getting_it_stores_nothing(
        self, client: FlaskClient, session: Session, form: Form
    ) -> None:
        client.get(f"/f/{form.key}")
        assert stored(session) == NOTHING


class TestTakenIn:
    def test_a_browser_gets_the_thanks_and_a_program_gets_json(
        self, client: FlaskClient, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        page = post(client, data=typed(texts))
        assert (page.status_code, page.mimetype) == (201, "text/html")
        assert "Set-Cookie" not in page.headers
        answer = post(client, json=typed(texts, email="b@mail.example"))
        assert (answer.status_code, answer.json) == (201, {"status": "accepted"})

    def test_each_of_the_three_content_types_is_taken(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        ways: list[dict[str, Any]] = [
            {"data": typed(texts)},
            {"data": typed(texts), "content_type": "multipart/form-data"},
            {"json": {**typed(texts), "consent.processing": texts["processing"].id}},
        ]
        assert [post(client, **way).status_code for way in ways] == [201] * 3
        contact = session.scalars(select(Contact)).one()
        assert (contact.full_name, contact.source) == ("Иванова Анна Сергеевна", "form:question")
        waiting = session.scalars(select(Request)).all()
        assert {(one.message, one.contact_id) for one in waiting} == {
            ("Когда вы открыты?", contact.id)
        }
        assert len(waiting) == 3

    def test_marketing_is_never_a_condition(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        assert post(client, data=typed(texts)).status_code == 201
        purposes = set(session.scalars(select(ConsentEvent.purpose)))
        assert purposes == {Purpose.SERVICE}
        assert session.scalar(select(func.count()).select_from(Delivery)) == 0

    def test_without_consent_to_processing_nothing_is_kept(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        answer = post(client, json=typed(texts, **{"consent.processing": None}))
        assert answer.status_code == 422
        assert "consent.processing" in (answer.json or {})["errors"]
        assert stored(session) == NOTHING

    def test_the_proof_names_text_address_place_time_and_every_box(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        page = f"{SITE}/contacts/?utm_source=x&name=Anna"
        post(
            client,
            data=typed(texts, email="Anna@Mail.example", phone=None),
            headers={"Referer": page, "User-Agent": "Browser/1", "X-Forwarded-For": "203.0.113.7"},
        )
        event = session.scalars(select(ConsentEvent)).one()
        assert (event.act, event.source, event.text_id) == (
            Act.ASKED,
            "form:question",
            texts["processing"].id,
        )
        proof = session.get_one(ConsentPayload, event.id).evidence
        assert proof["address"] == "Anna@Mail.example"
        assert proof["page"] == f"{SITE}/contacts/"
        assert (proof["origin"], proof["ip"], proof["user_agent"]) == (
            SITE,
            "203.0.113.7",
            "Browser/1",
        )
        assert proof["text"]["sha256"] == texts["processing"].sha256
        assert proof["boxes"]["marketing_email"] is None
        assert proof["at"] == NOON.isoformat()

    def test_a_phone_alone_carries_the_consent_to_processing(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        assert post(client, data=typed(texts, email=None)).status_code == 201
        event = session.scalars(select(ConsentEvent)).one()
        assert event.channel is Channel.PHONE
        assert session.get_one(Address, event.address_id).value == "+79211234567"

    def test_promotion_by_mail_needs_an_email_address(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        answer = post(client, json=typed(texts, marketing="yes", email=None))
        assert answer.status_code == 422
        assert list((answer.json or {})["errors"]) == ["email"]
        assert stored(session) == NOTHING

    def test_it_is_written_into_the_audit_log_without_a_word_about_the_person(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        post(client, data=typed(texts))
        line = session.scalars(select(AuditEvent).where(AuditEvent.act == "form.submitted")).one()
        assert set(line.detail) == {"form_id", "request_id", "is_new"}


class TestWhoMaySend:
    def test_a_page_that_the_form_does_not_list_is_refused(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        for origin in ("https://evil.example", "null", "https://clinic.example.evil.example", ""):
            answer = post(client, data=typed(texts), headers={"Origin": origin})
            assert answer.status_code == 403, origin
        assert stored(session) == NOTHING

    def test_our_own_page_may(
        self, client: FlaskClient, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        answer = post(client, data=typed(texts), headers={"Origin": "https://crm.clinic.example"})
        assert answer.status_code == 201

    def test_without_an_origin_only_the_token_of_the_form_opens(
        self, client: FlaskClient, session: Session, texts: dict[str, ConsentText]
    ) -> None:
        a_form(session, "api", token_digest=hashlib.sha256(b"right").hexdigest())
        a_form(session, "none")
        given = {"Bearer right": 201, "Bearer wrong": 403, "Basic right": 403, "": 403}
        for header, status in given.items():
            headers = {"Origin": None, "Authorization": header}
            answer = post(client, key="api", json=typed(texts), headers=headers)
            assert answer.status_code == status, header
        headers = {"Origin": None, "Authorization": "Bearer right"}
        assert post(client, key="none", json=typed(texts), headers=headers).status_code == 403

    def test_a_script_of_a_listed_page_may_ask_first_and_read_the_answer(
        self, client: FlaskClient, form: Form
    ) -> None:
        allowed = client.options(f"/f/{form.key}", headers={"Origin": SITE})
        assert allowed.status_code == 204
        assert allowed.headers["Access-Control-Allow-Origin"] == SITE
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        foreign = client.options(f"/f/{form.key}", headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert "Access-Control-Allow-Origin" not in foreign.headers


class TestTexts:
    def test_a_retired_version_is_refused_and_its_box_unticked(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        sent = typed(texts, marketing="yes")
        old = texts["marketing_email"].id
        publish(
            session,
            key="marketing_email",
            lang="ru",
            purpose=Purpose.MARKETING,
            channel=Channel.EMAIL,
            label="Согласен",
            title="Новое согласие",
            body="Новый текст",
            at=NOON,
        )
        session.commit()
        answer = post(client, data=sent)
        assert answer.status_code == 409
        assert 'value="Иванова"' in answer.text
        assert f'value="{old}"' not in answer.text
        assert answer.text.count(" checked") == 1
        assert stored(session) == NOTHING

    def test_an_unknown_or_another_text_s_version_is_refused(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        for given in (999999, texts["marketing_email"].id):
            answer = post(client, json=typed(texts, **{"consent.processing": given}))
            assert answer.status_code == 409
        assert stored(session) == NOTHING

    def test_every_version_ever_shown_stays_readable(
        self, client: FlaskClient, session: Session, texts: dict[str, ConsentText]
    ) -> None:
        old = texts["processing"]
        old.retired_at = NOON
        session.commit()
        page = client.get(f"/texts/{old.id}")
        assert page.status_code == 200
        assert old.sha256 in page.text
        assert old.body in page.text
        assert client.get("/texts/999999999999999999999").status_code == 404


class TestOnce:
    def test_the_same_key_and_body_are_one_submission(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answers = [post(client, json=typed(texts), headers=headers) for _ in range(3)]
        assert [(one.status_code, one.json) for one in answers] == [
            (201, {"status": "accepted"})
        ] * 3
        assert stored(session)["requests"] == 1
        assert stored(session)["consent_events"] == 2

    def test_the_same_key_with_another_body_is_refused(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        headers = {"Idempotency-Key": "k1"}
        post(client, json=typed(texts), headers=headers)
        answer = post(client, json=typed(texts, message="Другое"), headers=headers)
        assert answer.status_code == 422
        assert (answer.json or {})["error"]
        assert stored(session)["requests"] == 1

    def test_two_at_the_same_moment_are_one(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        sent, headers = typed(texts, marketing="yes"), {"Idempotency-Key": "race"}

        def send(_number: int) -> int:
            return post(client, json=sent, headers=headers).status_code

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(send, range(8))) == [201] * 8
        assert stored(session) == {
            **NOTHING,
            "contacts": 1,
            "addresses": 2,
            "consent_events": 3,
            "requests": 1,
            "submissions": 1,
            "deliveries": 1,
        }

    def test_many_first_submissions_at_once_make_one_contact(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        sent = typed(texts, marketing="yes")

        def send(number: int) -> int:
            return post(client, json={**sent, "message": str(number)}).status_code

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(send, range(8))) == [201] * 8
        found = stored(session)
        assert (found["contacts"], found["addresses"], found["deliveries"]) == (1, 2, 1)
        assert found["requests"] == 8

    def test_a_double_click_on_our_own_page_is_one(
        self,
        client: FlaskClient,
        session: Session,
        form: Form,
        texts: dict[str, ConsentText],
        time: Time,
    ) -> None:
        stamp = stamp_of(client.get(f"/f/{form.key}").text)
        time.moves_to(NOON + timedelta(seconds=30))
        sent = typed(texts, _t=stamp, _hp="")
        assert [post(client, data=sent).status_code for _ in range(2)] == [201, 201]
        assert stored(session)["requests"] == 1
        assert post(client, data={**sent, "message": "Ещё вопрос"}).status_code == 201
        assert stored(session)["requests"] == 2

    def test_a_malformed_key_is_refused(
        self, client: FlaskClient, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        for key in ("", "x" * 256, "ключ"):
            headers = {"Idempotency-Key": key.encode().decode("latin-1")}
            assert post(client, json=typed(texts), headers=headers).status_code == 422, key


def stamp_of(page: str) -> str:
    return page.split('name="_t" value="')[1].split('"')[0]


class TestDefence:
    def test_a_filled_trap_stores_nothing_and_keeps_what_was_typed(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        answer = post(client, data=typed(texts, _hp="http://spam.example"))
        assert answer.status_code == 422
        assert "Когда вы открыты?" in answer.text
        assert "spam.example" not in answer.text
        assert stored(session) == NOTHING

    def test_too_fast_can_simply_be_sent_again(
        self,
        client: FlaskClient,
        session: Session,
        form: Form,
        texts: dict[str, ConsentText],
        time: Time,
    ) -> None:
        sent = typed(texts, _t=stamp_of(client.get(f"/f/{form.key}").text))
        refused = post(client, data=sent)
        assert refused.status_code == 422
        assert stored(session) == NOTHING
        time.moves_to(NOON + timedelta(seconds=2))
        again = {**sent, "_t": stamp_of(refused.text)}
        assert post(client, data=again).status_code == 201

    def test_a_page_open_for_days_gets_a_fresh_stamp(
        self, client: FlaskClient, form: Form, texts: dict[str, ConsentText], time: Time
    ) -> None:
        stamp = stamp_of(client.get(f"/f/{form.key}").text)
        time.moves_to(NOON + timedelta(days=2))
        refused = post(client, data=typed(texts, _t=stamp))
        assert refused.status_code == 422
        assert stamp_of(refused.text) != stamp
        time.moves_to(NOON + timedelta(days=2, seconds=5))
        assert post(client, data=typed(texts, _t=stamp_of(refused.text))).status_code == 201

    def test_an_invented_stamp_is_refused(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        assert post(client, data=typed(texts, _t="invented")).status_code == 422
        assert stored(session) == NOTHING

    def test_one_network_address_cannot_flood_us_and_loses_nothing_it_typed(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        flood = {"X-Forwarded-For": str(uuid.uuid4())}
        answers = [
            post(client, data=typed(texts, message=f"Вопрос {n}"), headers=flood) for n in range(31)
        ]
        assert [one.status_code for one in answers] == [201] * 30 + [429]
        assert "Вопрос 30" in answers[-1].text
        assert answers[-1].headers["Retry-After"] == "60"
        assert f"frame-ancestors {SITE}" in answers[-1].headers["Content-Security-Policy"]
        assert stored(session)["requests"] == 30

    def test_without_valkey_it_goes_on_and_counts_for_itself(
        self,
        settings: Settings,
        form: Form,
        texts: dict[str, ConsentText],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # The one limiter of the process remembers that its storage was away: not beyond this test.
        monkeypatch.setattr(limiter, "_storage_dead", False)
        app = create_app(replace(settings, redis_url="redis://127.0.0.1:9/0"))
        app.test_client_class = Stranger
        visitor, flood = app.test_client(), {"X-Forwarded-For": str(uuid.uuid4())}
        statuses = [
            post(visitor, data=typed(texts, message=str(n)), headers=flood).status_code
            for n in range(31)
        ]
        with app.app_context():
            db.engine.dispose()
        assert statuses == [201] * 30 + [429]


class TestKnownPeople:
    def test_the_same_person_again_is_the_same_contact(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        post(client, data=typed(texts))
        post(client, data=typed(texts, last_name="ИВАНОВА", patronymic=None))
        assert stored(session)["contacts"] == 1
        assert session.scalars(select(Contact)).one().last_name == "Иванова"

    def test_another_name_behind_the_same_address_is_another_person(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        post(client, data=typed(texts))
        post(client, data=typed(texts, first_name="Пётр"))
        assert stored(session)["contacts"] == 2
        assert stored(session)["addresses"] == 2
        assert set(session.scalars(select(Contact.first_name))) == {"Анна", "Пётр"}

    def test_a_stranger_who_knows_name_and_address_gets_no_address_into_the_contact(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        known = a_willing_contact(session, email="anna@mail.example")
        session.commit()
        post(client, data=typed(texts, phone="+7 921 999-99-99"))
        reached = session.scalars(
            select(Address.value).join(ContactAddress).where(ContactAddress.contact_id == known.id)
        ).all()
        assert reached == ["anna@mail.example"]

    def test_the_answer_is_the_same_for_a_known_and_an_unknown_address(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        a_willing_contact(session, email="anna@mail.example")
        session.commit()
        known = post(client, data=typed(texts, marketing="yes"))
        unknown = post(client, data=typed(texts, marketing="yes", email="new@mail.example"))
        assert known.text == unknown.text


class TestConfirmationLetter:
    def letters(self, session: Session) -> list[Mailing]:
        session.rollback()
        return list(session.scalars(select(Mailing).order_by(Mailing.id)))

    def test_it_goes_by_the_fast_lane_without_promotion_or_name(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        post(client, data=typed(texts, marketing="yes"))
        (mailing,) = self.letters(session)
        assert mailing.purpose is Purpose.SERVICE
        assert mailing.envelope["sender_address"] == "priem@clinic.example"
        assert mailing.letter["kind"] == "service"
        words = str(mailing.letter)
        assert "https://crm.clinic.example/o/" in words
        assert "Анна" not in words
        assert "anna@" not in words

    def test_one_a_day_at_most_however_often_somebody_types_the_address(
        self,
        client: FlaskClient,
        session: Session,
        form: Form,
        texts: dict[str, ConsentText],
        time: Time,
    ) -> None:
        for hours in (0, 20, 23, 30, 43):
            time.moves_to(NOON + timedelta(hours=hours))
            post(client, data=typed(texts, marketing="yes"))
        assert len(self.letters(session)) == 2

    def test_none_goes_where_consent_is_in_force_already(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        known = a_willing_contact(session, email="anna@mail.example")
        session.commit()
        post(client, data=typed(texts, marketing="yes"))
        assert self.letters(session) == []
        asked = session.scalars(
            select(ConsentEvent).where(
                ConsentEvent.address_id == email_of(session, known).id,
                ConsentEvent.source == "form:question",
            )
        ).all()
        assert len(asked) == 2

    def test_none_goes_while_the_clinic_has_no_address_of_its_own(
        self, client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
    ) -> None:
        a_clinic(session).service_email = ""
        session.commit()
        assert post(client, data=typed(texts, marketing="yes")).status_code == 201
        assert self.letters(session) == []
