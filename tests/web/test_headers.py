from pathlib import Path

from flask import Flask, Response
from flask.testing import FlaskClient

from crm.web import headers

MARKETER = {"X-Who": "marketer"}


def policy(answer_headers: object) -> dict[str, str]:
    text = str(answer_headers["Content-Security-Policy"])  # type: ignore[index]
    return dict(part.split(" ", 1) for part in text.split("; "))


def test_a_staff_page_runs_our_scripts_only_and_cannot_be_framed(client: FlaskClient) -> None:
    found = policy(client.get("/", headers=MARKETER).headers)

    assert found["default-src"] == "'none'"
    assert found["script-src"] == found["style-src"] == "'self'"
    assert found["frame-ancestors"] == "'none'"


def test_a_public_page_runs_no_script_and_tells_no_site_where_its_reader_came_from(
    client: FlaskClient,
) -> None:
    answer = client.get("/p/x")

    assert "script-src" not in policy(answer.headers)
    assert policy(answer.headers)["default-src"] == "'none'"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "<script" not in answer.text


def test_the_hosted_form_may_be_framed_by_the_sites_it_names(client: FlaskClient) -> None:
    found = policy(client.get("/f/x").headers)

    assert found["frame-ancestors"] == "https://sever.example"
    assert "script-src" not in found


def test_what_is_no_origin_opens_nothing(app: Flask) -> None:
    typed = ["https://a.example; script-src *", "javascript:x", "*", "https://b.example:8443", ""]
    with app.test_request_context("/f/x"):
        headers.embeddable_from(typed)
        answer = app.process_response(Response("x"))

    assert policy(answer.headers)["frame-ancestors"] == "https://b.example:8443"
    assert "script-src" not in policy(answer.headers)


def test_a_letter_keeps_its_styles_and_loses_everything_else(client: FlaskClient) -> None:
    found = policy(client.get("/letter", headers=MARKETER).headers)

    assert found["sandbox"] == "allow-same-origin"
    assert found["style-src"] == "'unsafe-inline'"
    assert found["frame-ancestors"] == "'self'"


def test_pages_are_kept_nowhere_and_built_files_for_ever(
    app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    assert client.get("/", headers=MARKETER).headers["Cache-Control"] == "no-store"
    assert client.get("/p/x").headers["Cache-Control"] == "no-store"
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "admin-AAAA.css").write_text("x{}")
    app.static_folder = str(tmp_path)
    with client.get("/static/build/admin-AAAA.css") as built:
        assert "immutable" in built.headers["Cache-Control"]
    with client.get("/static/build/none.css") as absent:
        assert "immutable" not in absent.headers.get("Cache-Control", "")


def test_https_is_remembered_where_there_is_https(app: Flask, client: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get("/p/x").headers
    assert "Strict-Transport-Security" in client.get("/p/x", base_url="https://crm.example").headers

    app.config["SESSION_COOKIE_SECURE"] = True
    assert "Strict-Transport-Security" in client.get("/p/x").headers


def test_every_answer_forbids_guessing_its_type(client: FlaskClient) -> None:
    for path in ("/", "/p/x", "/nowhere", "/broken?as=500"):
        assert client.get(path).headers["X-Content-Type-Options"] == "nosniff", path
