"""Texts: a version is published after a look, and nothing published ever changes."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.consent.models import ConsentText
from crm.consent.rules import Channel, Purpose
from crm.consent.texts import digest
from tests.conftest import Time
from tests.factories import consent_texts

As = Callable[..., FlaskClient]
WAY = "/consent/texts/processing/ru/new"
TYPED = {
    "label": "Согласен на обработку моих данных",
    "title": "Согласие",
    "body": "Первый абзац.\r\n\r\nВторой абзац.",
    "after": "1",
}


@pytest.fixture(autouse=True)
def published(session: Session, time: Time) -> dict[str, ConsentText]:
    texts = consent_texts(session)
    session.commit()
    return texts


def versions(session: Session, key: str = "processing") -> list[ConsentText]:
    session.expire_all()
    query = select(ConsentText).where(ConsentText.key == key).order_by(ConsentText.version)
    return list(session.scalars(query))


def test_a_version_is_looked_at_and_then_published(session: Session, signed_in: As) -> None:
    dpo = signed_in("dpo")
    said = digest(TYPED["label"], TYPED["title"], "Первый абзац.\n\nВторой абзац.")
    preview = dpo.post(WAY, data=TYPED)
    assert preview.status_code == 200
    assert said in preview.text
    assert len(versions(session)) == 1
    published = dpo.post(WAY, data={**TYPED, "step": "publish"})
    assert published.status_code == 303
    old, new = versions(session)
    assert (new.version, new.sha256, new.purpose, new.channel) == (
        2,
        said,
        Purpose.SERVICE,
        Channel.EMAIL,
    )
    assert old.retired_at == new.valid_from
    assert said in dpo.get("/consent/texts/processing/ru").text
    noted = session.scalars(select(AuditEvent).where(AuditEvent.act == "text.published")).one()
    assert noted.detail == {"key": "processing", "lang": "ru", "version": 2}


def test_the_old_version_stays_readable_by_anybody(
    client: FlaskClient, signed_in: As, published: dict[str, ConsentText]
) -> None:
    text_id, body = published["processing"].id, published["processing"].body
    signed_in("dpo").post(WAY, data={**TYPED, "step": "publish"})
    page = client.get(f"/texts/{text_id}")
    assert page.status_code == 200
    assert body in page.text


def test_a_published_text_cannot_be_changed_or_deleted(
    session: Session, published: dict[str, ConsentText]
) -> None:
    text = published["processing"]
    text.body = "Другое"
    with pytest.raises(DBAPIError):
        session.flush()
    session.rollback()
    session.delete(session.get_one(ConsentText, 1))
    with pytest.raises(DBAPIError):
        session.flush()
    session.rollback()


def test_two_who_write_at_once_do_not_overwrite_each_other(session: Session, signed_in: As) -> None:
    dpo = signed_in("dpo")
    assert dpo.post(WAY, data={**TYPED, "step": "publish"}).status_code == 303
    late = dpo.post(WAY, data={**TYPED, "title": "Иначе", "step": "publish"})
    assert late.status_code == 409
    assert 'value="Иначе"' in late.text
    assert len(versions(session)) == 2


@pytest.mark.parametrize(
    "label",
    [
        "Согласен на обработку данных и получение рекламы",
        "Согласен на обработку данных и рассылку новостей",
        "I agree to processing and to marketing",
    ],
)
def test_a_text_for_two_purposes_is_refused(session: Session, signed_in: As, label: str) -> None:
    answer = signed_in("dpo").post(WAY, data={**TYPED, "label": label, "step": "publish"})
    assert answer.status_code == 422
    assert "cl-summary" in answer.text
    assert len(versions(session)) == 1


def test_going_back_to_write_on_keeps_what_was_typed(signed_in: As) -> None:
    answer = signed_in("dpo").post(WAY, data={**TYPED, "step": "edit"})
    assert answer.status_code == 200
    assert "Второй абзац." in answer.text


def test_nothing_new_is_not_published(
    session: Session, signed_in: As, published: dict[str, ConsentText]
) -> None:
    now = published["processing"]
    same = {"label": now.label, "title": now.title, "body": now.body, "after": "1"}
    answer = signed_in("dpo").post(WAY, data={**same, "step": "publish"})
    assert answer.status_code == 422
    assert len(versions(session)) == 1


def test_a_policy_has_no_box(session: Session, signed_in: As) -> None:
    way = "/consent/texts/policy/en/new"
    dpo = signed_in("dpo")
    assert 'name="label"' not in dpo.get(way).text
    answer = dpo.post(way, data={**TYPED, "after": "0", "step": "publish"})
    assert answer.status_code == 303
    (policy,) = versions(session, "policy")
    assert (policy.label, policy.purpose, policy.lang) == ("", None, "en")


def test_a_long_policy_fits(session: Session, signed_in: As) -> None:
    body = "Строка политики. " * 3500
    answer = signed_in("dpo").post(
        "/consent/texts/policy/ru/new",
        data={"title": "Политика", "body": body, "after": "0", "step": "publish"},
        content_type="multipart/form-data",
    )
    assert answer.status_code == 303
    assert len(versions(session, "policy")[0].body) == len(body.strip())


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("label", ""),
        ("label", "п" * 301),
        ("label", "а\r\nб"),
        ("label", "<b>Согласен</b>"),
        ("title", ""),
        ("title", "п" * 201),
        ("title", "=?utf-8?q?a?="),
        ("title", "\x00"),
        ("body", ""),
        ("body", "<p>Текст</p>"),
        ("body", "Текст\x07"),
        ("body", "\ufffd"),
        ("after", "x"),
        ("after", "٣"),
        ("after", ""),
        ("after", "9" * 50),
    ],
)
def test_what_cannot_be_published_is_refused_and_kept(
    session: Session, signed_in: As, field: str, typed: str
) -> None:
    answer = signed_in("dpo").post(WAY, data={**TYPED, field: typed, "step": "publish"})
    assert answer.status_code == (409 if field == "after" else 422)
    assert "cl-summary" in answer.text
    kept = TYPED["title"] if field != "title" else TYPED["label"]
    assert f'value="{kept}"' in answer.text
    assert len(versions(session)) == 1


@pytest.mark.parametrize("way", ["other/ru", "processing/de", "x/y"])
def test_there_are_no_other_texts(signed_in: As, way: str) -> None:
    dpo = signed_in("dpo")
    assert dpo.get(f"/consent/texts/{way}").status_code == 404
    assert dpo.get(f"/consent/texts/{way}/new").status_code == 404


def test_the_administrator_reads_and_does_not_write(signed_in: As) -> None:
    admin = signed_in("admin")
    assert admin.get("/consent/texts").status_code == 200
    assert WAY not in admin.get("/consent/texts/processing/ru").text
    assert admin.post(WAY, data={**TYPED, "step": "publish"}).status_code == 403
