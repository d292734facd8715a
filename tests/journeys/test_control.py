"""The person in charge of personal data, and the administrator."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import select, text

from crm import clock
from crm.audit import seal
from crm.audit.models import Log
from crm.consent.models import ConsentEvent
from crm.consent.refold import LOGS
from crm.contacts.models import Contact
from crm.db import db
from tests.journeys import letters
from tests.journeys.clinic import FORM, PASSWORD
from tests.journeys.conftest import Enters
from tests.journeys.house import House
from tests.journeys.people import Someone, someone
from tests.journeys.steps import ask, choose

pytestmark = pytest.mark.browser


def contact_id_of(house: House, person: Someone) -> int:
    with house.looking() as session:
        found = select(Contact.id).where(Contact.last_name == person.last_name)
        return session.scalars(found).one()


def test_the_person_in_charge_sees_what_was_said_and_who_looked(
    house: House, signs_in: Enters, visits: Enters
) -> None:
    visitor = someone()
    outside = visits()
    ask(outside, house, visitor, wants_letters=True)
    letter = house.letter_to(visitor.email, about="Подтвердите адрес")
    outside.goto(letters.link(letter, f"{house.origin}/o/"))
    outside.locator("form button[type=submit]").click()
    expect(outside.locator("main [role=status]")).to_be_visible()

    page = signs_in("dpo")
    choose(page, "Contacts")
    page.locator("#q").fill(visitor.email)
    page.get_by_role("link", name=visitor.full_name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(visitor.full_name)
    matrix = page.get_by_role("table", name=f"Consents of {visitor.email}")
    advertising = matrix.get_by_role("row").filter(has_text="Advertising")
    expect(advertising.filter(has_text="E-mail")).to_contain_text("allowed")
    expect(advertising.filter(has_text="E-mail")).to_contain_text("Confirmed by the person.")
    history = page.locator(".cl-timeline")
    expect(history.get_by_text("Ticked the consent box").first).to_be_visible()
    expect(history.get_by_text("Confirmed the consent")).to_be_visible()
    expect(history.get_by_text("Asked for an appointment")).to_be_visible()

    contact_id = contact_id_of(house, visitor)
    page.goto(f"{house.origin}/audit?subject=contact&subject_id={contact_id}")
    seen = page.get_by_role("row").filter(has_text="Looked at a contact")
    expect(seen).to_contain_text("Colleague dpo")


def test_the_ledger_holds_until_somebody_changes_a_row(house: House, visits: Enters) -> None:
    ask(visits(), house, someone(), wants_letters=True)
    with house.looking() as session:
        for log, table in LOGS.items():
            seal.seal(session, log, table, at=clock.now())
        session.commit()
        event_id = session.scalars(select(ConsentEvent.id).order_by(ConsentEvent.id)).first()
    holds = house.command("ledger", "verify")
    assert holds.returncode == 0, holds.stderr

    with house.looking(), db.engine.begin() as connection:
        was = connection.scalar(
            text("SELECT source FROM consent_events WHERE id = :id"), {"id": event_id}
        )
    tamper(house, event_id, "desk")
    try:
        broken = house.command("ledger", "verify")
    finally:
        tamper(house, event_id, was)
    assert broken.returncode == 1
    assert f"{Log.CONSENT.value}, block 1" in broken.stderr


def tamper(house: House, event_id: int | None, source: str | None) -> None:
    """Change a row as only the owner of the database can, past every trigger."""
    with house.looking(), db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        changed = connection.execute(
            text("UPDATE consent_events SET source = :source WHERE id = :id"),
            {"source": source, "id": event_id},
        )
    assert changed.rowcount == 1


def test_an_administrator_adds_a_colleague_and_changes_the_settings(
    house: House, signs_in: Enters, visits: Enters
) -> None:
    page = signs_in("admin")
    choose(page, "Staff")
    page.get_by_role("link", name="Add a person").click()
    page.locator("#name").fill("Ольга Щукина")
    page.locator("#email").fill("shchukina@clinic.example")
    page.locator("[name=roles][value=receptionist]").check()
    page.get_by_role("button", name="Add and show the password").click()
    password = page.locator("#password").inner_text()

    colleague = visits()
    colleague.goto(house.origin)
    colleague.locator("#email").fill("shchukina@clinic.example")
    colleague.locator("#password").fill(password)
    colleague.locator("form button[type=submit]").click()
    expect(colleague.get_by_text("Ольга Щукина").first).to_be_visible()
    assert password != PASSWORD

    choose(page, "Clinic")
    page.locator("#phone").fill("+7 812 000-77-88")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The details are saved.")).to_be_visible()
    visitor = visits()
    visitor.goto(f"{house.origin}/f/{FORM}")
    expect(visitor.get_by_role("link", name=re.compile("000-77-88"))).to_be_visible()
