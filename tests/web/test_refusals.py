import json

import pytest
from flask.testing import FlaskClient

MARKETER = {"X-Who": "marketer"}
CODES = [400, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503]


@pytest.mark.parametrize("status", CODES)
def test_every_refusal_is_a_page_that_says_what_to_do(client: FlaskClient, status: int) -> None:
    answer = client.get(f"/broken?as={status}&lang=en")

    assert answer.status_code == status
    assert answer.text.count("<h1>") == 1
    assert "Werkzeug" not in answer.text
    assert "The requested URL" not in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("status", CODES)
def test_who_speaks_json_is_answered_in_json(client: FlaskClient, status: int) -> None:
    answer = client.get(f"/broken?as={status}", headers={"Accept": "application/json"})

    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["status"] == "refused"
    assert answer.json["error"]


def test_a_deliberate_refusal_speaks_its_own_sentence(client: FlaskClient) -> None:
    answer = client.get("/late", headers=MARKETER)

    assert answer.status_code == 409
    assert "The mailing has already gone." in answer.text
    assert 'id="cl-menu"' in answer.text, "staff keep their menu"


def test_htmx_gets_the_sentence_as_a_toast_and_nothing_to_swap_in(client: FlaskClient) -> None:
    answer = client.get("/late", headers={**MARKETER, "HX-Request": "true"})

    assert answer.status_code == 409
    assert answer.mimetype == "text/plain"
    assert json.loads(answer.headers["HX-Trigger"]) == {
        "toast": {"items": [{"kind": "danger", "text": "The mailing has already gone."}]}
    }


def test_a_fault_tells_nothing_about_itself(client: FlaskClient) -> None:
    answer = client.get("/boom", headers=MARKETER)

    assert answer.status_code == 500
    assert "kovaleva" not in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_a_stale_form_gives_back_what_was_typed_but_no_secret(client: FlaskClient) -> None:
    answer = client.post(
        "/act",
        headers=MARKETER,
        data={
            "note": "Долгий <b>текст</b>",
            "password": "hunter2",
            "csrf_token": "stale",
            "_hp": "x",
        },
    )

    assert answer.status_code == 400
    assert "Долгий &lt;b&gt;текст&lt;/b&gt;" in answer.text
    assert "hunter2" not in answer.text
    assert "stale" not in answer.text


def test_a_form_with_its_token_is_taken(client: FlaskClient) -> None:
    page = client.get("/empty", headers=MARKETER).text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]

    answer = client.post("/act", headers=MARKETER, data={"csrf_token": token})

    assert answer.status_code == 302


def test_a_route_for_strangers_needs_no_token(client: FlaskClient) -> None:
    assert client.post("/f/x").status_code == 405


def test_a_public_refusal_keeps_the_language_of_the_link(client: FlaskClient) -> None:
    assert '<html lang="en">' in client.get("/broken?as=404&lang=en").text
    assert '<html lang="ru">' in client.get("/broken?as=404&lang=xx").text
    assert '<html lang="en">' in client.get("/broken?as=500&lang=en").text
