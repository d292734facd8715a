"""Forms of the site: made, changed, given a token that is told once."""

import hashlib
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.appointments.models import RequestKind
from crm.audit.models import AuditEvent
from crm.intake.models import Form
from tests.conftest import Time
from tests.factories import a_clinic, consent_texts

As = Callable[..., FlaskClient]
TYPED = {
    "key": "appointment",
    "title_ru": "Записаться на «приём»",
    "title_en": "Make an appointment",
    "kind": "appointment",
    "text_keys": ["marketing_email", "processing"],
    "origins": "https://Clinic.example/\nhttp://127.0.0.1:8001 https://clinic.example",
    "active": "y",
}


@pytest.fixture(autouse=True)
def clinic(session: Session, time: Time) -> None:
    a_clinic(session)
    consent_texts(session)
    session.commit()


def the_form(session: Session) -> Form:
    session.expire_all()
    return session.scalars(select(Form)).one()


def test_a_form_is_made_and_stands_at_its_address(
    session: Session, client: FlaskClient, signed_in: As
) -> None:
    assert signed_in("admin").post("/forms/new", data=TYPED).status_code == 303
    form = the_form(session)
    assert (form.key, form.kind, form.active) == ("appointment", RequestKind.APPOINTMENT, True)
    assert form.text_keys == ["processing", "marketing_email"]
    assert form.origins == ["https://clinic.example", "http://127.0.0.1:8001"]
    shown = client.get("/f/appointment")
    assert shown.status_code == 200
    assert (
        "frame-ancestors https://clinic.example http://127.0.0.1:8001"
        in (shown.headers["Content-Security-Policy"])
    )


def test_a_form_changes_but_for_its_key(session: Session, signed_in: As) -> None:
    admin = signed_in("admin")
    admin.post("/forms/new", data=TYPED)
    form = the_form(session)
    shut = {key: value for key, value in TYPED.items() if key != "active"}
    changed = {**shut, "key": "other", "title_en": "Come", "origins": ""}
    assert admin.post(f"/forms/{form.id}/edit", data=changed).status_code == 303
    form = the_form(session)
    assert (form.key, form.title_en, form.origins) == ("appointment", "Come", [])
    assert not form.active
    noted = session.scalars(select(AuditEvent).where(AuditEvent.act == "form.changed")).one()
    assert noted.detail == {"fields": "title_en origins active"}


def test_the_token_is_told_once_and_kept_as_a_digest(session: Session, signed_in: As) -> None:
    admin = signed_in("admin")
    admin.post("/forms/new", data=TYPED)
    way = f"/forms/{the_form(session).id}"
    page = admin.post(f"{way}/token")
    assert page.status_code == 201
    token = re.search(r'id="token">([\w-]{43})<', page.text)
    assert token
    digest = hashlib.sha256(token[1].encode()).hexdigest()
    assert the_form(session).token_digest == digest
    assert token[1] not in admin.get(way).text
    assert digest not in admin.get(way).text
    assert admin.post(f"{way}/token").status_code == 201
    assert the_form(session).token_digest != digest
    assert admin.post(f"{way}/token/remove").status_code == 303
    assert the_form(session).token_digest is None


def test_the_snippet_survives_quotes_in_a_title(session: Session, signed_in: As) -> None:
    admin = signed_in("admin")
    admin.post("/forms/new", data={**TYPED, "title_ru": 'Вопрос "врачу" & ответ'})
    page = admin.get(f"/forms/{the_form(session).id}").text
    assert "title=&#34;" not in page
    assert 'title="Вопрос &amp;#34;врачу&amp;#34; &amp;amp; ответ"' in page


def test_the_marketer_looks_and_copies_and_changes_nothing(session: Session, signed_in: As) -> None:
    signed_in("admin").post("/forms/new", data=TYPED)
    way, marketer = f"/forms/{the_form(session).id}", signed_in("marketer")
    page = marketer.get(way)
    assert "/f/appointment?embed=1" in page.text
    assert "/token" not in page.text
    assert "/edit" not in page.text
    assert marketer.get("/forms").status_code == 200
    assert marketer.post(f"{way}/edit", data=TYPED).status_code == 403
    assert marketer.post(f"{way}/token").status_code == 403


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("key", ""),
        ("key", "Форма"),
        ("key", "a"),
        ("key", "a" * 33),
        ("key", "../x"),
        ("key", "a\r\nb"),
        ("title_ru", ""),
        ("title_ru", "п" * 121),
        ("title_ru", "<i>x</i>"),
        ("title_en", "=?utf-8?q?x?="),
        ("title_en", "a\x00"),
        ("kind", "gift"),
        ("kind", ""),
        ("text_keys", []),
        ("text_keys", ["marketing_email"]),
        ("text_keys", ["processing", "policy"]),
        ("origins", "clinic.example"),
        ("origins", "http://clinic.example"),
        ("origins", "https://clinic.example/page"),
        ("origins", "https://clinic.example; script-src *"),
        ("origins", "*"),
        ("origins", "\x00"),
        ("origins", "\n".join(f"https://c{n}.example" for n in range(21))),
    ],
)
def test_what_cannot_be_a_form_is_refused_and_kept(
    session: Session, signed_in: As, field: str, typed: str | list[str]
) -> None:
    answer = signed_in("admin").post("/forms/new", data={**TYPED, field: typed})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    kept = "title_en" if field != "title_en" else "title_ru"
    assert f'value="{TYPED[kept]}"' in answer.text
    assert session.scalars(select(Form)).all() == []


def test_two_forms_cannot_share_an_address(signed_in: As) -> None:
    admin = signed_in("admin")
    assert admin.post("/forms/new", data=TYPED).status_code == 303
    again = admin.post("/forms/new", data=TYPED)
    assert again.status_code == 422
    assert 'href="#key"' in again.text
