"""A campaign from the empty page to its report, and the people who have had enough of them."""

import re
from http import HTTPStatus

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.consent.models import ConsentEvent
from crm.consent.rules import Act
from crm.contacts.models import Address
from crm.mail.addresses import mask
from devtools.catcher import Letter
from tests.factories import a_willing_contact
from tests.journeys import letters
from tests.journeys.clinic import address_of
from tests.journeys.conftest import Enters
from tests.journeys.house import House, request
from tests.journeys.people import someone
from tests.journeys.steps import approve, choose

pytestmark = pytest.mark.browser
ONE_CLICK = b"List-Unsubscribe=One-Click"


def number_in(words: str) -> int:
    return int("".join(re.findall(r"\d", words)))


def compose(page: Page, name: str, subject: str) -> None:
    choose(page, "Campaigns")
    page.get_by_role("link", name="New campaign").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Subject").fill(subject)
    page.get_by_role("button", name="Write the letter").click()
    page.locator("#block-0 [data-field=text]").fill("Осенний осмотр")
    page.locator("#block-1 [contenteditable]").fill("Запись открыта с понедельника.")
    expect(page.locator("#cl-save-status[data-kind=on]")).to_be_visible()
    shown = page.frame_locator("iframe")
    expect(shown.get_by_text("Запись открыта с понедельника.")).to_be_visible()
    page.locator("#cl-next").click()
    page.wait_for_url("**/check")


def finished(page: Page) -> None:
    chip = page.locator(".cl-page-title .cl-chip")
    expect(chip).to_have_text("Finished")


def figure(page: Page, label: str) -> int:
    return number_in(page.locator(".cl-stat").filter(has_text=label).locator("b").inner_text())


def assert_may_leave(letter: Letter) -> None:
    """What a mailbox provider wants to see in the bytes of a promotional letter."""
    [way_out] = letters.raw_header(letter, b"List-Unsubscribe")
    assert re.fullmatch(rb"<http://[!-~]+/u/[!-~]+>, <mailto:[!-~]+>", way_out), "it was encoded"
    assert letters.raw_header(letter, b"List-Unsubscribe-Post") == [ONE_CLICK]
    assert letters.raw_header(letter, b"To") == [letter.rcpt.encode()], "one letter, one person"
    assert len(letter.recipients) == 1
    for name in (b"Cc", b"Bcc"):
        assert letters.raw_header(letter, name) == []


def test_a_marketer_writes_checks_tests_and_sends(house: House, signs_in: Enters) -> None:
    subject = "Осмотр за одно посещение"
    page = signs_in("marketer")
    compose(page, "Осень", subject)

    reached = number_in(page.locator(".cl-big").inner_text())
    assert reached >= 12
    page.get_by_role("button", name="Send a test").click()
    trial = house.letter_to(address_of("marketer"), about=f"[Проба] {subject}")
    assert "Запись открыта с понедельника." in letters.part(trial, "plain")
    assert house.letters_about(subject) == [], "before the approval nobody gets anything"

    page.get_by_role("button", name=f"Send {reached} letters").click()
    expect(page.locator("#cl-progress progress")).to_be_visible()
    finished(page)

    arrived = house.letters_about(subject)
    assert figure(page, "accepted by the mail server") == len(arrived) == reached
    assert len({letter.rcpt for letter in arrived}) == reached, "somebody got it twice"
    for label in ("in the queue", "withheld", "refused", "uncertain"):
        assert figure(page, label) == 0
    for letter in [*arrived, trial]:
        assert_may_leave(letter)
    assert f"approved {reached} letters" in page.locator(".cl-timeline").inner_text()


def click_once(letter: Letter) -> None:
    """Unsubscribe as a mail program does: RFC 8058, no cookie, no page."""
    [header] = letters.raw_header(letter, b"List-Unsubscribe")
    address = header.decode().partition(">")[0].removeprefix("<")
    answer = request("POST", address, ONE_CLICK)
    assert answer.status == HTTPStatus.OK
    assert answer.headers.get_all("Set-Cookie") is None


def refusal_of(session: Session, email: str) -> ConsentEvent:
    return session.scalars(
        select(ConsentEvent)
        .join(Address, Address.id == ConsentEvent.address_id)
        .where(Address.value == email, ConsentEvent.act == Act.OPTED_OUT)
    ).one()


def test_whoever_says_stop_is_passed_by_and_the_journal_says_why(
    house: House, signs_in: Enters, visits: Enters
) -> None:
    reader, other = someone(), someone()
    first, second = "Осенние встречи", "Зимнее расписание"
    with house.looking() as session:
        for person in (reader, other):
            a_willing_contact(session, email=person.email, first_name=person.first_name)
        approve(session, house, first)
    by_link = house.letter_to(reader.email, about=first)
    by_button = house.letter_to(other.email, about=first)
    with house.looking() as session:
        campaign_id = approve(session, house, second, paused=True)

    at_home = visits()
    link = letters.link(by_link, f"{house.origin}/u/")
    at_home.goto(link)
    at_home.locator("form button[type=submit]").click()
    expect(at_home.locator("main [role=status]")).to_be_visible()
    assert at_home.context.cookies() == []
    click_once(by_button)
    at_home.goto(link)
    expect(at_home.locator("form")).to_have_count(0)

    page = signs_in("marketer")
    page.goto(f"{house.origin}/campaigns/{campaign_id}")
    page.get_by_role("button", name="Resume").click()
    finished(page)
    arrived = {letter.rcpt for letter in house.letters_about(second)}
    assert len(arrived) == figure(page, "accepted by the mail server") >= 12
    assert not {reader.email, other.email} & arrived

    page.locator(".cl-stat").filter(has_text="withheld").click()
    rows = page.get_by_role("row").filter(has_text="has unsubscribed")
    expect(rows).to_have_count(2)
    with house.looking() as session:
        for person in (reader, other):
            event = refusal_of(session, person.email)
            row = rows.filter(has_text=mask(person.email))
            expect(row.filter(has_text=f"ledger event {event.id}")).to_have_count(1)
        sources = {refusal_of(session, one.email).source for one in (reader, other)}
    assert sources == {"link", "one_click"}
