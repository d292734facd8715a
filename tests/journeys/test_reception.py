"""From a request to a confirmed appointment, without a word about why somebody comes."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from crm import clock
from crm.appointments.letters import short_words
from tests.journeys import letters
from tests.journeys.conftest import Enters
from tests.journeys.house import House
from tests.journeys.people import someone
from tests.journeys.steps import ask, choose

pytestmark = pytest.mark.browser
MOSCOW = ZoneInfo("Europe/Moscow")
PLACE = "Речная ул., 12, вход со двора"
TELLING = re.compile(
    r"врач|доктор|терапевт|хирург|кардиолог|[а-я]{3,}олог\b|диагно|анализ|лечени|болезн|скидк",
    re.IGNORECASE,
)


def test_a_receptionist_offers_a_time_and_the_patient_agrees(
    house: House, signs_in: Enters, visits: Enters
) -> None:
    patient = someone()
    ask(visits(), house, patient)
    day = clock.now().astimezone(MOSCOW).date() + timedelta(days=9)
    starts_at = datetime.combine(day, time(10, 30), MOSCOW)

    page = signs_in("receptionist")
    choose(page, "Reception")
    row = page.get_by_role("row").filter(has_text=patient.full_name)
    row.get_by_role("button", name="Take").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(patient.full_name)
    expect(page.get_by_text(patient.message)).to_be_visible()
    page.get_by_label("Day", exact=True).fill(day.isoformat())
    page.get_by_label("Time", exact=True).fill("10:30")
    page.get_by_label("Place", exact=True).fill(PLACE)
    page.get_by_role("button", name="Send the offer by letter").click()
    expect(page.get_by_text("Time offered").first).to_be_visible()
    expect(page.locator("#cl-letter")).to_contain_text("has taken the letter")

    when = short_words(starts_at, zone="Europe/Moscow", lang="ru")
    letter = house.letter_to(patient.email, about=f"Запись: {when}")
    said = letters.everything(letter)
    assert PLACE in letters.part(letter, "plain")
    assert not TELLING.search(said), "it tells why the patient comes"
    assert patient.message not in said
    assert letters.raw_header(letter, b"To") == [patient.email.encode()]
    assert letters.raw_header(letter, b"List-Unsubscribe") == []

    at_home = visits()
    at_home.goto(letters.link(letter, f"{house.origin}/a/"))
    expect(at_home.get_by_text(PLACE)).to_be_visible()
    at_home.locator("button[value=confirm]").click()
    expect(at_home.locator("button[value=confirm]")).to_have_count(0)

    page.get_by_role("link", name="Reception").first.click()
    page.get_by_role("link", name=re.compile("Upcoming")).click()
    row = page.get_by_role("row").filter(has_text=patient.full_name)
    expect(row).to_contain_text("Confirmed")
