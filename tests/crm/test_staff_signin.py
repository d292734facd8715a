"""Coming in and going out: the same answer to a stranger whatever is wrong, and limits."""

import logging
import time as stopwatch
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.app import create_app
from crm.audit.models import AuditEvent
from crm.config import Settings
from crm.db import db
from crm.staff import service
from crm.staff.models import RoleName, Staff
from crm.staff.rules import own_path, password_fault
from tests.factories import NOON

PASSWORD = "four words in a row"
SignIn = Callable[..., FlaskClient]


@pytest.fixture
def somewhere(app: Flask) -> Callable[[], FlaskClient]:
    """Clients that come from a network address of their own, so that tests share no limits."""

    def client() -> FlaskClient:
        made = app.test_client()
        number = uuid.uuid4().int
        made.environ_base["HTTP_X_FORWARDED_FOR"] = (
            f"2001:db8::{number % 65536:x}:{number >> 112:x}"
        )
        return made

    return client


@pytest.fixture
def staff(session: Session) -> Staff:
    made = service.add(
        session,
        email=f"{uuid.uuid4().hex}@clinic.example",
        name="Мария Сергеева",
        roles=[RoleName.ADMIN],
        password=PASSWORD,
        at=NOON,
        by=None,
    )
    session.commit()
    return made


@contextmanager
def another_app(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    app.config["WTF_CSRF_ENABLED"] = False
    with app.app_context():
        yield app.test_client()
        db.session.remove()
        db.engine.dispose()


def enter(client: FlaskClient, email: str, password: str = PASSWORD, way: str = "/login") -> int:
    return client.post(way, data={"email": email, "password": password}).status_code


def acts(session: Session) -> list[str]:
    return list(session.scalars(select(AuditEvent.act).order_by(AuditEvent.id)))


def test_the_right_password_leads_to_the_page_that_was_asked_for(
    somewhere: SignIn, staff: Staff
) -> None:
    client = somewhere()
    turned_away = client.get("/staff")
    assert turned_away.location == "/login?next=%2Fstaff"
    answer = client.post(
        turned_away.location, data={"email": staff.email.upper(), "password": PASSWORD}
    )
    assert (answer.status_code, answer.location) == (303, "/staff")
    assert client.get("/staff").status_code == 200


ELSEWHERE = (
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    "evil.example",
    " /staff",
    "",
)


def test_a_sign_in_leads_nowhere_but_to_our_own_pages(
    app: Flask, somewhere: SignIn, staff: Staff
) -> None:
    assert [way for way in ELSEWHERE if own_path(way)] == []
    client = somewhere()
    enter(client, staff.email)
    for way in ELSEWHERE:  # whoever is signed in already goes the same way on
        answer = client.get("/login", query_string={"next": way})
        assert (answer.status_code, answer.location) == (303, "/")


def test_a_stranger_is_told_the_same_whatever_is_wrong(
    somewhere: SignIn, session: Session, staff: Staff
) -> None:
    client = somewhere()
    wrong = client.post("/login", data={"email": staff.email, "password": "another password"})
    unknown = client.post("/login", data={"email": "x" + staff.email, "password": PASSWORD})
    staff.active = False
    session.commit()
    shut = client.post("/login", data={"email": staff.email, "password": PASSWORD})
    pages = [
        answer.text.replace("x" + staff.email, "NAME").replace(staff.email, "NAME")
        for answer in (wrong, unknown, shut)
    ]
    assert [answer.status_code for answer in (wrong, unknown, shut)] == [422] * 3
    assert pages[0] == pages[1] == pages[2]


def test_an_unknown_account_takes_as_long_as_a_wrong_password(
    somewhere: SignIn, staff: Staff
) -> None:
    def quickest(email: str) -> float:
        taken = []
        for _ in range(4):
            begun = stopwatch.process_time()
            assert enter(somewhere(), email, "another password") == 422
            taken.append(stopwatch.process_time() - begun)
        return min(taken)

    enter(somewhere(), staff.email, "another password")
    known, unknown = quickest(staff.email), quickest(f"{uuid.uuid4().hex}@clinic.example")
    assert 0.5 < unknown / known < 2


def test_nothing_that_is_typed_breaks_the_sign_in(somewhere: SignIn) -> None:
    emails = ("", "a", "\x00@c.example", "\ud7ff" * 300, "a\r\nBcc: b@c.example", "=?utf-8?q?a?=")
    client = somewhere()
    for email in (f"{uuid.uuid4().hex}{typed}" for typed in emails):
        assert enter(client, email, "a guess") == 422
    for password in ("", "\x00", "\ufffd", "<b>"):
        assert enter(client, uuid.uuid4().hex, password) == 422
    assert enter(client, uuid.uuid4().hex, "п" * 60_000) == 413


def test_a_body_that_is_no_form_is_nobody(somewhere: SignIn) -> None:
    for body, kind in [(b"[1]", "application/json"), (b"\xff\xfe", "text/plain"), (b"", "a/b")]:
        answer = somewhere().post("/login", data=body, content_type=kind)
        assert answer.status_code in (400, 415, 422, 429)


def test_ten_wrong_passwords_shut_an_account_for_a_while(
    somewhere: SignIn, session: Session, staff: Staff
) -> None:
    for _ in range(10):
        assert enter(somewhere(), staff.email, "another password") == 422
    answer = somewhere().post("/login", data={"email": staff.email, "password": PASSWORD})
    assert answer.status_code == 429
    assert "15" in answer.text
    assert acts(session).count("staff.sign_in_failed") == 10
    assert "staff.signed_in" not in acts(session)


def test_the_right_password_clears_the_count(somewhere: SignIn, staff: Staff) -> None:
    for _ in range(2):
        for _ in range(9):
            assert enter(somewhere(), staff.email, "another password") == 422
        assert enter(somewhere(), staff.email) == 303


def test_fifty_wrong_passwords_from_one_place_shut_it_whatever_the_account(
    somewhere: SignIn, staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.staff.entering.opens", lambda *_given: False)  # the hash is slow
    client = somewhere()
    for _ in range(50):
        assert enter(client, f"{uuid.uuid4().hex}@clinic.example", "guess") == 422
    assert enter(client, staff.email) == 429
    assert enter(somewhere(), staff.email) == 422


def test_attempts_are_limited_while_valkey_is_away(settings: Settings, staff: Staff) -> None:
    email = staff.email  # read before: a session asks the engine of the present application
    with another_app(replace(settings, redis_url="redis://127.0.0.1:9/0")) as client:
        answers = [enter(client, email, "another password") for _ in range(11)]
    assert answers == [422] * 10 + [429]


def test_a_planted_session_is_left_behind_at_the_sign_in(
    app: Flask, somewhere: SignIn, staff: Staff
) -> None:
    client = somewhere()
    with client.session_transaction() as planted:
        planted["csrf_token"] = "known to somebody else"
        planted["trap"] = "set"
    enter(client, staff.email)
    with client.session_transaction() as kept:
        assert "trap" not in kept
        assert kept.get("csrf_token") != "known to somebody else"
        assert kept["_user_id"] == staff.fs_uniquifier


def test_the_cookie_is_out_of_reach(somewhere: SignIn, staff: Staff) -> None:
    answer = somewhere().post("/login", data={"email": staff.email, "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/"):
        assert part in cookie
    assert "Max-Age" not in cookie


def test_over_plain_http_on_this_machine_the_cookie_is_not_secure(
    settings: Settings, staff: Staff
) -> None:
    email = staff.email
    with another_app(replace(settings, public_url="http://127.0.0.1:8000")) as client:
        answer = client.post("/login", data={"email": email, "password": PASSWORD})
    assert "Secure" not in answer.headers["Set-Cookie"]


def test_without_the_forms_token_nobody_signs_in_or_out(app: Flask, staff: Staff) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    client = app.test_client()
    assert enter(client, staff.email) == 400
    signed_in = app.test_client(user=staff)
    assert signed_in.post("/logout").status_code == 400
    assert signed_in.get("/me").status_code == 200


def test_signing_out_ends_the_session(somewhere: SignIn, session: Session, staff: Staff) -> None:
    client = somewhere()
    enter(client, staff.email)
    assert client.post("/logout").location == "/login"
    assert client.get("/me").status_code == 302
    assert client.get("/logout").status_code in (302, 405)
    assert acts(session)[-2:] == ["staff.signed_in", "staff.signed_out"]


def test_a_shut_account_loses_its_sessions_at_once(
    app: Flask, somewhere: SignIn, session: Session, staff: Staff, signed_in: SignIn
) -> None:
    client = somewhere()
    enter(client, staff.email)
    admin = signed_in("admin")
    assert client.get("/me").status_code == 200
    assert admin.post(f"/staff/{staff.id}/deactivate").status_code == 303
    assert client.get("/me").status_code == 302
    assert enter(somewhere(), staff.email) == 422
    assert admin.post(f"/staff/{staff.id}/reactivate").status_code == 303
    assert client.get("/me").status_code == 302
    assert enter(somewhere(), staff.email) == 303


def test_signing_out_everywhere_ends_each_session(somewhere: SignIn, staff: Staff) -> None:
    here, there = somewhere(), somewhere()
    enter(here, staff.email)
    enter(there, staff.email)
    assert here.post("/me/sign-out-everywhere").location == "/login"
    assert here.get("/me").status_code == 302
    assert there.get("/me").status_code == 302


def test_a_new_password_keeps_this_session_and_ends_the_others(
    somewhere: SignIn, session: Session, staff: Staff
) -> None:
    here, there = somewhere(), somewhere()
    enter(here, staff.email)
    enter(there, staff.email)
    new = "another few words"
    answer = here.post("/me/password", data={"current_password": PASSWORD, "new_password": new})
    assert answer.status_code == 303
    assert here.get("/me").status_code == 200
    assert there.get("/me").status_code == 302
    assert enter(somewhere(), staff.email) == 422
    assert enter(somewhere(), staff.email, new) == 303
    assert "staff.password_changed" in acts(session)


@pytest.mark.parametrize(
    ("current", "new"),
    [
        (PASSWORD, ""),
        ("", "long enough to be one"),
        ("not the password", "long enough to be one"),
        (PASSWORD, "short"),
        (PASSWORD, "п" * 201),
        (PASSWORD, "THE ADDRESS"),
    ],
)
def test_a_password_that_cannot_be_is_refused_with_a_sentence(
    somewhere: SignIn, staff: Staff, current: str, new: str
) -> None:
    client = somewhere()
    enter(client, staff.email)
    new = staff.email.upper() if new == "THE ADDRESS" else new
    answer = client.post("/me/password", data={"current_password": current, "new_password": new})
    assert answer.status_code == 422
    assert "cl-error" in answer.text
    assert new == "" or f'value="{new}"' not in answer.text
    assert enter(somewhere(), staff.email) == 303


def test_letters_composed_by_another_keyboard_are_the_same_password(
    somewhere: SignIn, session: Session, staff: Staff
) -> None:
    composed, decomposed = "й" * 12, "и\u0306" * 12
    service.set_password(session, staff, composed, at=NOON, by=staff.id)
    session.commit()
    assert enter(somewhere(), staff.email, decomposed) == 303


def test_a_password_is_kept_as_argon2(staff: Staff) -> None:
    assert (staff.password or "").startswith("$argon2id$")


def test_length_is_all_that_is_asked_of_a_password() -> None:
    assert password_fault("aaaaaaaaaaaa", email="a@clinic.example") is None
    assert password_fault("aaaaaaaaaaa", email="a@clinic.example")
    assert password_fault("anna@clinic.example", email="anna@clinic.example")


def test_neither_log_nor_audit_holds_what_was_typed(
    somewhere: SignIn, session: Session, staff: Staff, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = somewhere()
    unknown = f"{uuid.uuid4().hex}@clinic.example"
    enter(client, unknown, "secret guess one")
    enter(client, staff.email, "secret guess two")
    enter(client, staff.email)
    client.post("/logout")
    noted = [f"{one.act} {one.detail}" for one in session.scalars(select(AuditEvent))]
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("crm")]
    for text in (*noted, *logged):
        assert unknown not in text
        assert staff.email not in text
        assert "secret guess" not in text
    failed = session.scalars(
        select(AuditEvent).where(AuditEvent.act == "staff.sign_in_failed").order_by(AuditEvent.id)
    ).all()
    assert [one.subject_id for one in failed] == [None, staff.id]
    assert len(failed[0].detail["account"]) == 32


@pytest.mark.parametrize(
    "path", ["/register", "/reset", "/confirm", "/verify", "/tf-setup", "/us-signin", "/change"]
)
def test_what_was_not_asked_for_is_not_there(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_token_in_a_header_signs_nobody_in(app: Flask, staff: Staff) -> None:
    token = staff.get_id()
    for name in ("Authentication-Token", "Authorization"):
        assert app.test_client().get("/me", headers={name: token}).status_code == 302


def test_a_person_chooses_language_and_theme(signed_in: SignIn) -> None:
    client = signed_in("receptionist")
    assert 'lang="ru"' in client.get("/me").text
    answer = client.post("/me/appearance", data={"theme": "dark", "next": "/me"})
    assert answer.location == "/me"
    client.post("/me/appearance", data={"lang": "en"})
    g.pop("_flask_babel", None)  # the fixture's context outlives a request
    page = client.get("/me").text
    assert 'lang="en" data-bs-theme="dark"' in page


@pytest.mark.parametrize(
    "typed", [{}, {"theme": "pink"}, {"lang": "de"}, {"lang": "en", "theme": ""}, {"theme": "\x00"}]
)
def test_no_other_theme_or_language_is_taken(signed_in: SignIn, typed: dict[str, str]) -> None:
    client = signed_in("dpo")
    assert client.post("/me/appearance", data=typed).status_code == 422


def test_the_theme_button_leads_nowhere_else(signed_in: SignIn) -> None:
    client = signed_in("marketer")
    answer = client.post("/me/appearance", data={"theme": "dark", "next": "//evil.example"})
    assert answer.location == "/me"
