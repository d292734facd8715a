"""Bad input: a 4xx with a sentence, what was typed is kept, nothing is stored, never a 500."""

import itertools
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from crm.consent.models import ConsentText
from crm.intake.models import Form
from tests.crm.test_intake import (
    NOTHING,
    client,
    form,
    post,
    stored,
    texts,
    typed,
)

__all__ = ["client", "form", "texts"]

pytestmark = pytest.mark.usefixtures("time")

FIELDS = ("last_name", "first_name", "patronymic", "email", "phone", "message")
TOO_LONG = {
    **dict.fromkeys(FIELDS[:3], "а" * 81),
    "email": "a" * 250 + "@mail.example",
    "phone": "+7" + "9" * 60,
    "message": "я" * 2001,
}
NASTY = {
    "a line break": "Анна\r\nBcc: all@mail.example",
    "a bare CR": "Анна\rBcc: x",
    "NUL": "Анна\x00",
    "escape": "Анна\x1b[31m",
    "an encoded word": "=?utf-8?q?hi=0A=0DBcc=3A_evil?=",
    "a tag": "<script>alert(1)</script>",
    "a broken charset": "Анна\ufffd",
}
FITS_A_MESSAGE = {"a line break"}
BAD = [
    *[(name, "too long", value) for name, value in TOO_LONG.items()],
    *[
        (name, what, value)
        for name, (what, value) in itertools.product(FIELDS, NASTY.items())
        if name != "message" or what not in FITS_A_MESSAGE
    ],
    ("email", "no address", "anna"),
    ("email", "two addresses", "a@mail.example, b@mail.example"),
    ("email", "a name beside it", "Анна <a@mail.example>"),
    ("email", "a look-alike", "аnna@mail.example"),
    ("phone", "letters", "позвоните мне"),
    ("first_name", "nothing", ""),
    ("first_name", "blanks", "   "),
    ("first_name", "digits", "Анна 2"),
]


def test_what_cannot_be_taken_is_said_beside_its_field(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    for name, what, value in BAD:
        answer = post(client, json=typed(texts, **{name: value}))
        assert answer.status_code == 422, (name, what)
        assert list((answer.json or {})["errors"]) == [name], (name, what)
        assert all((answer.json or {})["errors"].values()), (name, what)
    assert stored(session) == NOTHING


def test_a_page_keeps_everything_that_was_typed(
    client: FlaskClient, form: Form, texts: dict[str, ConsentText]
) -> None:
    sent = typed(texts, marketing="yes", email="anna", message="Вопрос <b>", phone="<i>")
    answer = post(client, data=sent)
    assert answer.status_code == 422
    for kept in ('value="Иванова"', 'value="anna"', "Вопрос &lt;b&gt;", 'value="&lt;i&gt;"'):
        assert kept in answer.text
    assert "<b>" not in answer.text.split("<main", 1)[1].replace("<b>x", "")
    assert answer.text.count(" checked") == 2
    assert answer.text.count('class="cl-error"') == 3


def test_all_fields_empty_says_what_is_needed(
    client: FlaskClient, session: Session, form: Form
) -> None:
    answer = post(client, json=dict.fromkeys(FIELDS, ""))
    assert answer.status_code == 422
    assert set((answer.json or {})["errors"]) == {"first_name", "email", "consent.processing"}
    assert post(client, data={}, content_type="multipart/form-data").status_code == 422
    assert stored(session) == NOTHING


def test_a_field_that_the_form_does_not_have_is_refused(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    for unknown in ("birth_date", "diagnosis", "passport", "csrf_token", "lang"):
        sent = typed(texts, **{unknown: "x"})
        for answer in (post(client, json=sent), post(client, data=sent)):
            assert answer.status_code == 422
            assert unknown in answer.text
    assert stored(session) == NOTHING


def test_a_box_holds_the_number_of_a_text_and_nothing_else(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    for box in ("on", "true", "-1", "1.0", "٣", "9" * 30, "<b>"):
        answer = post(client, json=typed(texts, **{"consent.processing": box}))
        assert answer.status_code == 422, box
        assert list((answer.json or {})["errors"]) == ["consent.processing"]
    assert stored(session) == NOTHING


ODD_JSON: dict[str, bytes] = {
    "not json": b"{",
    "a list": b"[]",
    "a string": b'"x"',
    "nothing": b"",
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "not UTF-8": '{"first_name": "Анна"}'.encode("cp1251"),
    "UTF-16": '{"first_name": "Анна"}'.encode("utf-16"),
}


def test_a_body_that_is_no_json_object_is_refused(
    client: FlaskClient, session: Session, form: Form
) -> None:
    for what, body in ODD_JSON.items():
        answer = post(client, data=body, content_type="application/json")
        assert answer.status_code == 400, what
        assert (answer.json or {})["error"]
    assert stored(session) == NOTHING


def test_a_json_value_that_is_no_text_is_refused(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    odd: list[Any] = [5, True, [], {}, ["a"], {"b": 1}, 1.5]
    for value, name in itertools.product(odd, ("first_name", "message")):
        answer = post(client, json=typed(texts, **{name: value}))
        assert answer.status_code == 422, value
        assert name in (answer.json or {})["errors"]
    assert stored(session) == NOTHING


def test_half_a_letter_in_json_is_refused(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    body = json.dumps(typed(texts, message="X")).replace('"X"', '"\\ud800"')
    answer = post(client, data=body, content_type="application/json")
    assert answer.status_code == 422
    assert stored(session) == NOTHING


def test_a_name_given_twice_is_refused(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    twice = {**typed(texts), "first_name": ["Анна", "Мария"]}
    assert post(client, data=twice).status_code == 422
    body = json.dumps(typed(texts))[:-1] + ', "first_name": "Мария"}'
    assert post(client, data=body, content_type="application/json").status_code == 422
    assert stored(session) == NOTHING


def test_another_content_type_is_refused(client: FlaskClient, session: Session, form: Form) -> None:
    for content_type in (
        "text/plain",
        "application/xml",
        "application/octet-stream",
        "",
        "application/json; charset=windows-1251",
        "application/x-www-form-urlencoded; charset=koi8-r",
    ):
        answer = post(client, data=b"first_name=Anna", content_type=content_type)
        assert answer.status_code == 415, content_type
    assert stored(session) == NOTHING


def test_a_form_in_another_charset_is_refused_and_not_garbled(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    body = (
        f"first_name=%C0%ED%ED%E0&email=a@mail.example&consent.processing={texts['processing'].id}"
    )
    answer = post(client, data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 422
    assert stored(session) == NOTHING


def test_ten_megabytes_are_refused(client: FlaskClient, session: Session, form: Form) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\n'
    for content_type, opening in {
        "application/x-www-form-urlencoded": b"message=",
        "multipart/form-data; boundary=x": head,
        "application/json": b'{"message": "',
    }.items():
        answer = post(client, data=opening + b"x" * 10_000_000, content_type=content_type)
        assert answer.status_code == 413, content_type
    assert stored(session) == NOTHING


def test_a_malformed_multipart_is_refused(
    client: FlaskClient, session: Session, form: Form
) -> None:
    bodies = (b"", b"garbage", b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\n1")
    for body, boundary in itertools.product(bodies, ("", "; boundary=x")):
        answer = post(client, data=body, content_type="multipart/form-data" + boundary)
        assert 400 <= answer.status_code < 500, body
    assert stored(session) == NOTHING


def test_a_file_in_place_of_a_field_is_refused(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="message"; filename="a.exe"\r\n\r\nMZ\r\n'
        b"--x--\r\n"
    )
    answer = post(client, data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 422
    assert stored(session) == NOTHING


def test_odd_headers_do_no_harm(
    client: FlaskClient, session: Session, form: Form, texts: dict[str, ConsentText]
) -> None:
    odd = {
        "Referer": "http://[::1",
        "User-Agent": "\x7f\xff" * 400,
        "X-Forwarded-For": "not an address",
    }
    assert post(client, data=typed(texts), headers=odd).status_code == 201
