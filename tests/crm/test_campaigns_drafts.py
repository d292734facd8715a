"""Writing a campaign: what is taken, what is refused, and that nothing is lost."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from crm.audit.models import AuditEvent
from crm.campaigns.drafts import EDITED
from crm.campaigns.models import Campaign
from crm.campaigns.pictures import PICTURES
from tests.crm.campaigns import BLOCKS, a_campaign, a_document, approved
from tests.factories import a_clinic, a_willing_contact

SignIn = Callable[..., FlaskClient]
BUTTON = {"type": "button", "text": "Записаться", "href": "https://clinic.example"}


def save(
    client: FlaskClient,
    campaign_id: int,
    *,
    revision: object = 1,
    name: object = "Осень",
    subject: object = "Запись открыта",
    document: object = None,
) -> TestResponse:
    sent = {
        "name": name,
        "subject": subject,
        "document": a_document() if document is None else document,
        "revision": revision,
    }
    return client.post(f"/campaigns/{campaign_id}/letter", json=sent)


def test_a_new_campaign_opens_in_its_editor(signed_in: SignIn, session: Session) -> None:
    client = signed_in("marketer")
    made = client.post("/campaigns/new", data={"name": " Весна ", "subject": "Мы открылись"})
    campaign = session.scalars(select(Campaign)).one()
    assert made.headers["Location"] == f"/campaigns/{campaign.id}/compose"
    assert (campaign.name, campaign.subject) == ("Весна", "Мы открылись")
    page = client.get(made.headers["Location"])
    assert page.status_code == 200
    assert "<noscript>" in page.text


@pytest.mark.parametrize(
    "typed",
    [
        {"name": "", "subject": "Мы открылись"},
        {"name": "Весна", "subject": ""},
        {"name": "н" * 121, "subject": "Мы открылись"},
        {"name": "Весна\x00", "subject": "Мы открылись"},
        {"name": "Весна", "subject": "с" * 201},
        {"name": "Весна", "subject": "Привет\r\nBcc: all@mail.example"},
        {"name": "Весна", "subject": "=?utf-8?q?x?="},
        {"name": "Весна", "subject": "{{ config }}"},
    ],
)
def test_a_campaign_that_cannot_be_begun_says_why_and_keeps_what_was_typed(
    signed_in: SignIn, session: Session, typed: dict[str, str]
) -> None:
    answer = signed_in("marketer").post("/campaigns/new", data=typed)
    assert answer.status_code == 422
    assert 'class="cl-error"' in answer.text
    if typed["name"] == "Весна":
        assert 'value="Весна"' in answer.text
    assert session.scalar(select(func.count()).select_from(Campaign)) == 0


def test_a_save_stores_the_cleaned_letter_and_counts_the_revision(
    signed_in: SignIn, session: Session
) -> None:
    campaign = a_campaign(session)
    text = {"type": "text", "html": '<p onclick="x()">Пишем<script>alert(1)</script></p>'}
    answer = save(signed_in("marketer"), campaign.id, document=a_document(text, BUTTON))
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["revision"] == 2
    session.refresh(campaign)
    assert campaign.revision == 2
    assert campaign.document["blocks"][0]["html"] == "<p>Пишем</p>"


def test_a_save_tells_what_will_keep_the_letter_from_leaving(
    signed_in: SignIn, session: Session
) -> None:
    campaign = a_campaign(session)
    answer = save(signed_in("marketer"), campaign.id, document=a_document(BLOCKS[0]))
    assert answer.json is not None
    assert [one["path"] for one in answer.json["notices"]] == ["blocks"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"subject": ""}, "subject"),
    ({"subject": "с" * 201}, "subject"),
    ({"subject": 5}, "subject"),
    ({"subject": "Привет\nBcc: all@mail.example"}, "subject"),
    ({"subject": "=?utf-8?q?x?="}, "subject"),
    ({"subject": "Вам {{ diagnosis }}"}, "subject"),
    ({"name": ""}, "name"),
    ({"name": ["Осень"]}, "name"),
    ({"document": a_document(preheader="п" * 151)}, "preheader"),
    ({"document": a_document(*[BLOCKS[0]] * 61)}, "blocks"),
    ({"document": []}, "blocks"),
    ({"document": {"version": 2, "blocks": []}}, "blocks"),
    ({"document": {"version": 1, "blocks": {"0": BLOCKS[0]}}}, "blocks"),
    ({"document": a_document({"type": "iframe"})}, "blocks.0"),
    ({"document": a_document({"type": ["text"]})}, "blocks.0"),
    ({"document": a_document(BLOCKS[0], {"type": "text", "html": ""})}, "blocks.1.html"),
    ({"document": a_document({"type": "text", "html": "<script>x</script>"})}, "blocks.0.html"),
    ({"document": a_document({"type": "text", "html": "{{ config }}"})}, "blocks.0.html"),
    ({"document": a_document({"type": "text", "html": "a\x00b"})}, "blocks.0.html"),
    ({"document": a_document({**BUTTON, "href": "javascript:alert(1)"})}, "blocks.0.href"),
    ({"document": a_document({**BUTTON, "style": "x"})}, "blocks.0.style"),
    (
        {"document": a_document({"type": "image", "src": "https://x.example/a.png", "alt": "x"})},
        "blocks.0.src",
    ),
    (
        {"document": a_document({"type": "image", "src": "/media/0123456789.png", "alt": "x"})},
        "blocks.0.src",
    ),
]


@pytest.mark.parametrize(("sent", "path"), BAD)
def test_what_cannot_be_in_a_letter_is_refused_with_its_place_and_nothing_is_stored(
    signed_in: SignIn, session: Session, sent: dict[str, Any], path: str
) -> None:
    campaign = a_campaign(session)
    answer = save(signed_in("marketer"), campaign.id, **sent)
    assert answer.status_code == 422
    assert answer.json is not None
    assert path in [fault["path"] for fault in answer.json["faults"]]
    assert all(fault["say"] for fault in answer.json["faults"])
    session.refresh(campaign)
    assert campaign.revision == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("", "application/json", 400),
        ("[" * 50_000, "application/json", 400),
        ("\xff", "application/json", 400),
        ("[]", "application/json", 422),
        ("null", "application/json", 422),
        ('"letter"', "application/json", 422),
        ("{}", "application/json", 422),
        ('{"revision": true}', "application/json", 422),
        ('{"revision": "1"}', "application/json", 422),
        ("subject=x", "application/x-www-form-urlencoded", 415),
        ("<letter/>", "text/xml", 415),
        ("x" * 300_000, "application/json", 413),
    ],
)
def test_a_save_that_is_no_letter_gets_a_sentence_and_never_a_fault_of_ours(
    signed_in: SignIn, session: Session, body: str, kind: str, status: int
) -> None:
    campaign = a_campaign(session)
    answer = signed_in("marketer").post(
        f"/campaigns/{campaign.id}/letter",
        data=body.encode("latin-1"),
        content_type=kind,
        headers={"Accept": "application/json"},
    )
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["error"]


def test_of_two_tabs_the_second_to_save_is_told_and_loses_nothing(
    signed_in: SignIn, session: Session
) -> None:
    campaign = a_campaign(session)
    first, second = signed_in("marketer"), signed_in("marketer")
    assert save(first, campaign.id, subject="Первая").status_code == 200
    late = save(second, campaign.id, subject="Вторая")
    assert late.status_code == 409
    assert late.json is not None
    assert late.json["revision"] == 2
    session.refresh(campaign)
    assert campaign.subject == "Первая"
    assert save(second, campaign.id, subject="Вторая", revision=2).status_code == 200


def test_a_letter_that_was_approved_does_not_change_any_more(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    a_willing_contact(session)
    client = signed_in("marketer")
    campaign = approved(client, session)
    assert save(client, campaign.id, subject="Другая").status_code == 409
    lines = {"name": "Осень", "subject": "Другая", "revision": 1}
    assert client.post(f"/campaigns/{campaign.id}/lines", data=lines).status_code == 409
    away = client.get(f"/campaigns/{campaign.id}/compose")
    assert away.headers["Location"] == f"/campaigns/{campaign.id}"
    session.refresh(campaign)
    assert campaign.subject == "Запись на осмотр открыта"


def test_without_scripts_the_subject_and_the_preheader_can_be_saved(
    signed_in: SignIn, session: Session
) -> None:
    campaign = a_campaign(session)
    lines = {"name": "Осень", "subject": "Ждём вас", "preheader": "С понедельника", "revision": "1"}
    client = signed_in("marketer")
    assert client.post(f"/campaigns/{campaign.id}/lines", data=lines).status_code == 302
    session.refresh(campaign)
    assert campaign.subject == "Ждём вас"
    assert campaign.document["preheader"] == "С понедельника"
    assert len(campaign.document["blocks"]) == len(BLOCKS)


@pytest.mark.parametrize(
    "lines",
    [
        {"name": "Осень", "subject": "", "preheader": "Мой текст", "revision": "1"},
        {"name": "Осень", "subject": "Тема", "preheader": "{{ Мой текст", "revision": "1"},
    ],
)
def test_without_scripts_a_refused_save_keeps_what_was_typed(
    signed_in: SignIn, session: Session, lines: dict[str, str]
) -> None:
    campaign = a_campaign(session)
    answer = signed_in("marketer").post(f"/campaigns/{campaign.id}/lines", data=lines)
    assert answer.status_code == 422
    assert "Мой текст" in answer.text
    assert 'class="cl-error"' in answer.text


def test_a_run_of_saves_is_one_line_in_the_log_and_tells_nothing_of_the_letter(
    signed_in: SignIn, session: Session
) -> None:
    campaign = a_campaign(session)
    client = signed_in("marketer")
    for revision in (1, 2, 3):
        save(client, campaign.id, revision=revision, subject="Тайная тема")
    lines = session.scalars(select(AuditEvent).where(AuditEvent.act == EDITED)).all()
    assert len(lines) == 1
    assert "Тайная" not in json.dumps(lines[0].detail, ensure_ascii=False)


def test_a_copy_is_a_draft_with_the_same_letter(signed_in: SignIn, session: Session) -> None:
    campaign = a_campaign(session, name="О" * 120)
    made = signed_in("marketer").post(f"/campaigns/{campaign.id}/copy")
    copy = session.scalars(select(Campaign).where(Campaign.id != campaign.id)).one()
    assert made.headers["Location"] == f"/campaigns/{copy.id}/compose"
    assert copy.document == campaign.document
    assert len(copy.name) <= 120
    assert copy.mailing_id is None


def test_the_preview_is_a_letter_in_its_own_policy(signed_in: SignIn, session: Session) -> None:
    a_clinic(session)
    campaign = a_campaign(session)
    client = signed_in("marketer")
    shown = client.get(f"/campaigns/{campaign.id}/preview?person=0")
    assert "Здравствуйте, Анна Сергеевна!" in shown.text
    assert "ООО «Север»" in shown.text
    assert "script-src" not in shown.headers["Content-Security-Policy"]
    assert "sandbox allow-same-origin" in shown.headers["Content-Security-Policy"]
    assert "Здравствуйте!" in client.get(f"/campaigns/{campaign.id}/preview?person=2").text
    text = client.get(f"/campaigns/{campaign.id}/preview?part=text&look=dark&person=-1").text
    assert "Отписаться от рекламных писем: https://" in text


def test_the_preview_of_what_is_no_letter_yet_says_what_is_missing(
    signed_in: SignIn, session: Session
) -> None:
    a_clinic(session)
    campaign = a_campaign(session, document=a_document(BUTTON))
    shown = signed_in("marketer").get(f"/campaigns/{campaign.id}/preview")
    assert shown.status_code == 200
    assert "<li>" in shown.text


def test_anybody_may_fetch_the_pictures_of_letters_and_no_other_file(client: FlaskClient) -> None:
    for picture in PICTURES:
        shown = client.get(picture.src)
        assert shown.data.startswith(b"\x89PNG")
        assert "Set-Cookie" not in shown.headers
    for foreign in ("/media/0123456789abcdef.png", "/media/..%2f..%2frules.png"):
        assert client.get(foreign).status_code == 404
