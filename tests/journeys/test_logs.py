"""Last of all: what the processes wrote down while everybody was on the way."""

import json
import re
from http import HTTPStatus
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.journeys import letters
from tests.journeys.clinic import PASSWORD
from tests.journeys.conftest import Enters
from tests.journeys.house import House, request
from tests.journeys.people import TOLD, someone
from tests.journeys.steps import ask

pytestmark = pytest.mark.browser
TOKEN = re.compile(r"/[uoa]/([\w.~-]{10,})")


def written_in_any_way(secret: str) -> set[str]:
    """As it is, as JSON, in a URL, and as the text of bytes."""
    return {secret, json.dumps(secret)[1:-1], quote(secret), repr(secret.encode())[2:-1]}


def test_no_log_names_anybody_or_holds_a_token(house: House, visits: Enters) -> None:
    visitor = someone()
    page = visits()
    ask(page, house, visitor, wants_letters=True)
    letter = house.letter_to(visitor.email, about="Подтвердите адрес")
    damaged = letters.link(letter, f"{house.origin}/o/") + "x"
    assert request("GET", damaged).status != HTTPStatus.OK
    page.goto(f"{house.origin}/login")
    page.locator("#email").fill(visitor.email)
    page.locator("#password").fill(PASSWORD)
    page.locator("form button[type=submit]").click()
    expect(page.get_by_role("alert")).to_be_visible()

    written = {path.name: path.read_text() for path in house.logs.glob("*.log")}
    assert "submission taken in" in written["web.log"], "nothing was logged: nothing is proved"
    assert set(written) >= {"web.log", "bulk.log", "service.log", "house.log", "beat.log"}
    tokens = {
        token
        for one in house.sink.messages()
        for token in TOKEN.findall(letters.part(one, "plain"))
    }
    assert tokens
    secrets = {*TOLD, *tokens, PASSWORD, *house.settings.secret_keys, house.settings.database_url}
    found = {
        (name, len(secret))
        for name, log in written.items()
        for secret in secrets
        if any(way in log for way in written_in_any_way(secret))
    }
    assert found == set(), "a log holds what it may not; the length of it stands beside the name"
