"""The preview of a letter, and a campaign under way, in a real browser."""

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from crm.campaigns.models import Campaign
from crm.campaigns.pictures import PICTURES
from crm.delivery.states import DeliveryState, MailingState
from tests.browser import support
from tests.browser.visit import PAUSE_MS, Opens
from tests.crm.campaigns import (
    BLOCKS,
    a_document,
    approved,
    deliveries,
    ended,
    launch,
    mailing_of,
)
from tests.factories import a_member_of_staff

pytestmark = pytest.mark.browser


def test_the_preview_has_two_widths_dark_the_text_part_and_our_pictures(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    picture = {"type": "image", "src": PICTURES[0].src, "alt": PICTURES[0].alt}
    draft.document = a_document(picture, *BLOCKS)
    session.commit()
    visit = opens(f"/campaigns/{draft.id}/compose")
    page, frame = visit.page, visit.page.locator("iframe")
    letter = page.frame_locator("iframe")
    shown = letter.locator("img").first
    expect(shown).to_be_visible()
    assert shown.evaluate("(image) => image.complete && image.naturalWidth") == 1200
    assert frame.evaluate("(one) => one.offsetWidth") == 600
    page.click("[data-width='375']")
    assert frame.evaluate("(one) => one.offsetWidth") == 375
    page.select_option("[data-person]", "2")
    expect(letter.get_by_text("Здравствуйте! Запись открыта.")).to_be_visible()
    page.click("[data-look=dark]")
    page.click("[data-part=text]")
    expect(letter.locator("pre")).to_contain_text("Отписаться от рекламных писем: ")
    support.check_page(page, visit.witness)


def test_without_scripts_the_lines_can_be_saved(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose", scripts=False)
    assert visit.page.locator("noscript .cl-note").count() == 1
    visit.page.fill("#preheader", "С понедельника")
    visit.page.click("button[form=cl-lines]")
    session.expire_all()
    assert draft.document["preheader"] == "С понедельника"


def test_a_speed_is_reckoned_while_it_is_typed_and_is_the_mailing_s(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    draft.document = a_document(*BLOCKS)
    session.commit()
    visit = opens(f"/campaigns/{draft.id}/check")
    page = visit.page
    expect(page.get_by_text("При скорости 100 в минуту на 1 письмо")).to_be_visible()
    page.fill("#per_minute", "7")
    expect(page.get_by_text("При скорости 7 в минуту на 1 письмо")).to_be_visible()
    support.check_page(page, visit.witness)
    page.click("form[action$=approve] button")
    expect(page.get_by_text("не больше 7 писем в минуту")).to_be_visible()
    page.click("text=Изменить скорость…")
    page.fill("#per_minute", "8")
    page.click("text=Задать скорость")
    expect(page.get_by_text("не больше 8 писем в минуту")).to_be_visible()
    page.click("text=Изменить скорость…")
    support.check_page(page, visit.witness)
    assert mailing_of(session, draft).per_minute == 8


def test_the_figures_move_by_themselves_and_the_page_notices_the_end(
    opens: Opens, session: Session, app: Flask, draft: Campaign
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    campaign = approved(app.test_client(user=a_member_of_staff(session, "marketer")), session)
    app.config["WTF_CSRF_ENABLED"] = True
    launch(session, at=mailing_of(session, campaign).due_at)
    visit = opens(f"/campaigns/{campaign.id}")
    bar = visit.page.locator("#cl-progress progress")
    expect(bar).to_have_attribute("value", "0")
    [only] = deliveries(session, mailing_of(session, campaign).id)
    ended(session, only, DeliveryState.ACCEPTED)
    expect(bar).to_have_attribute("value", "1", timeout=PAUSE_MS)
    mailing_of(session, campaign).state = MailingState.FINISHED
    session.commit()
    expect(visit.page.locator("#cl-progress[hx-get]")).to_have_count(0, timeout=PAUSE_MS)
    support.check_page(visit.page, visit.witness)
