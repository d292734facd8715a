"""What people do in the browser in more than one journey."""

from typing import Any

from playwright.sync_api import FrameLocator, Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm import clock
from crm.campaigns import service as campaigns
from crm.campaigns.models import Campaign
from crm.delivery import service as delivery
from crm.staff.models import Staff
from tests.crm.campaigns import a_document
from tests.journeys.clinic import FORM, address_of
from tests.journeys.house import House
from tests.journeys.people import Someone

READING_MS = 1_100
"""Nobody fills in a form within a second of seeing it, and whoever does is taken for a robot."""


def fill_in(form: Page | FrameLocator, person: Someone, *, wants_letters: bool) -> None:
    """Fill in the hosted form and send it; without scripts as well."""
    for name in ("last_name", "first_name", "patronymic", "email", "phone", "message"):
        form.locator(f"[name={name}]").fill(getattr(person, name))
    boxes = form.locator("[type=checkbox]")
    expect(boxes).to_have_count(2)
    for number in range(2):
        expect(boxes.nth(number)).not_to_be_checked()
    form.locator("[name='consent.processing']").check()
    if wants_letters:
        form.locator("[name='consent.marketing_email']").check()
    form.locator("form.card button[type=submit]").click()
    expect(form.locator("main [role=status]")).to_be_visible()
    expect(form.locator("form")).to_have_count(0)


def ask(page: Page, house: House, person: Someone, *, wants_letters: bool = False) -> None:
    """Open the form, read it, and send it."""
    page.goto(f"{house.origin}/f/{FORM}")
    page.wait_for_timeout(READING_MS)
    fill_in(page, person, wants_letters=wants_letters)


def choose(page: Page, entry: str) -> None:
    """Take an entry of the staff's menu."""
    page.get_by_role("navigation", name="Main menu").get_by_role("link", name=entry).click()


def approve(session: Session, house: House, subject: str, *, paused: bool = False) -> int:
    """Approve a campaign to everybody willing; ``paused``: launched, and paused before a letter.

    The way through the pages is the marketer's journey; here only what comes of it is needed.
    """
    staff = session.scalars(select(Staff).where(Staff.email == address_of("marketer"))).one()
    at = clock.now()
    facts: dict[str, Any] = {"created_by": staff.id, "created_at": at, "updated_at": at}
    campaign = Campaign(name=subject, subject=subject, document=a_document(), **facts)
    session.add(campaign)
    session.flush()
    approval = campaigns.Approval(
        count=1_000, revision=campaign.revision, due_at=at, staff_id=staff.id
    )
    hitch = campaigns.approve(session, campaign.id, approval, settings=house.settings, at=at)
    assert hitch is None
    if paused:
        assert campaigns.launch_next(session, at=clock.now())
        assert campaign.mailing_id is not None
        delivery.pause(session, campaign.mailing_id)
    session.commit()
    return campaign.id
