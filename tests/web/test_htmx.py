import json

from flask import Flask
from flask.testing import FlaskClient

from crm.web.htmx import is_htmx

MARKETER = {"X-Who": "marketer"}


def token(client: FlaskClient) -> dict[str, str]:
    page = client.get("/empty", headers=MARKETER).text
    return {"X-CSRFToken": page.split('name="csrf-token" content="')[1].split('"')[0]}


def test_news_for_htmx_travels_in_an_ascii_header(client: FlaskClient) -> None:
    answer = client.post("/act", headers={**MARKETER, **token(client), "HX-Request": "true"})

    assert answer.headers["HX-Trigger"].isascii()
    said = json.loads(answer.headers["HX-Trigger"])
    assert said["toast"]["items"] == [{"kind": "success", "text": "Готово: согласие отозвано"}]


def test_news_before_a_redirect_waits_for_the_next_page(client: FlaskClient) -> None:
    answer = client.post("/act", headers={**MARKETER, **token(client)}, follow_redirects=False)
    assert "HX-Trigger" not in answer.headers

    assert "Готово: согласие отозвано" in client.get("/empty", headers=MARKETER).text
    assert "Готово: согласие отозвано" not in client.get("/empty", headers=MARKETER).text


def test_a_boosted_link_wants_the_whole_page(app: Flask) -> None:
    for headers, part in [
        ({"HX-Request": "true"}, True),
        ({"HX-Request": "true", "HX-Boosted": "true"}, False),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, False),
        ({}, False),
    ]:
        with app.test_request_context(headers=headers):
            assert is_htmx() is part
