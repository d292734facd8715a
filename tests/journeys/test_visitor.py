"""From the form on the site to a confirmed consent."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from crm.consent.models import AddressStanding
from crm.consent.rules import Purpose
from crm.contacts.models import Address
from tests.journeys import letters
from tests.journeys.conftest import Enters
from tests.journeys.house import House
from tests.journeys.people import someone
from tests.journeys.steps import READING_MS, ask, fill_in

pytestmark = pytest.mark.browser
PROMOTION = re.compile(r"скидк|акци[яюи]|бонус|подар|приглаша|промокод", re.IGNORECASE)


def has_confirmed(house: House, email: str) -> bool:
    with house.looking() as session:
        standing = session.scalars(
            select(AddressStanding)
            .join(Address, Address.id == AddressStanding.address_id)
            .where(Address.value == email, AddressStanding.purpose == Purpose.MARKETING)
        ).one()
        return standing.confirmed_at is not None


def test_a_visitor_ticks_the_box_and_confirms_from_the_mailbox(
    house: House, visits: Enters
) -> None:
    visitor = someone()
    page = visits()
    ask(page, house, visitor, wants_letters=True)

    letter = house.letter_to(visitor.email, about="Подтвердите адрес")
    assert letter.recipients == (visitor.email,)
    assert b"\r\nlist-" not in letters.raw_head(letter).lower(), "it is no letter of a list"
    assert b"Auto-Submitted: auto-generated" in letters.raw_head(letter)
    assert not PROMOTION.search(letters.part(letter, "plain") + letters.part(letter, "html"))
    link = letters.link(letter, f"{house.origin}/")
    assert letters.links(letter) == [link], "it asks for one thing"
    assert visitor.first_name not in letters.everything(letter), "a stranger may read it"

    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert not has_confirmed(house, visitor.email), "opening a page confirms nothing"
    page.locator("form button[type=submit]").click()
    expect(page.locator("main [role=status]")).to_be_visible()
    assert has_confirmed(house, visitor.email)


def test_the_form_stands_in_a_page_of_the_clinic_s_own_site(house: House, visits: Enters) -> None:
    visitor = someone()
    page = visits()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    page.goto(house.site)
    form = page.frame_locator("iframe")
    expect(form.locator("h1")).to_be_visible()
    page.wait_for_timeout(READING_MS)
    fill_in(form, visitor, wants_letters=True)

    assert refused == []
    house.letter_to(visitor.email, about="Подтвердите адрес")
