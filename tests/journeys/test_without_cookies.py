"""Public pages need neither cookies nor scripts, and set none (COO-01)."""

import pytest
from playwright.sync_api import Page, expect

from tests.factories import a_willing_contact
from tests.journeys import letters
from tests.journeys.conftest import Enters
from tests.journeys.house import House
from tests.journeys.people import someone
from tests.journeys.steps import approve, ask

pytestmark = pytest.mark.browser


def note_cookies(page: Page) -> list[str]:
    """Collect the answers that set a cookie, from now on."""
    found: list[str] = []
    page.on(
        "response",
        lambda answer: found.append(answer.url) if "set-cookie" in answer.headers else None,
    )
    return found


def test_form_confirmation_and_texts_work_without_scripts_and_set_no_cookie(
    house: House, visits: Enters
) -> None:
    visitor = someone()
    page = visits(scripts=False)
    set_by = note_cookies(page)
    ask(page, house, visitor, wants_letters=True)
    letter = house.letter_to(visitor.email, about="Подтвердите адрес")
    page.goto(letters.link(letter, f"{house.origin}/o/"))
    page.locator("form a[href^='/texts/']").click()
    expect(page.locator("h1")).to_be_visible()
    page.go_back()
    page.locator("form button[type=submit]").click()
    expect(page.locator("main [role=status]")).to_be_visible()

    assert set_by == []
    assert page.context.cookies() == []


def test_the_way_out_works_without_scripts_and_sets_no_cookie(house: House, visits: Enters) -> None:
    reader = someone()
    subject = "Весенние встречи"
    with house.looking() as session:
        a_willing_contact(session, email=reader.email)
        approve(session, house, subject)
    letter = house.letter_to(reader.email, about=subject)
    page = visits(scripts=False)
    set_by = note_cookies(page)
    page.goto(letters.link(letter, f"{house.origin}/u/"))
    page.locator("form button[type=submit]").click()
    expect(page.locator("main [role=status]")).to_be_visible()

    assert set_by == []
    assert page.context.cookies() == []
