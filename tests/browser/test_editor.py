"""The editor of letters in a real browser, by keyboard alone."""

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from crm.campaigns.models import Campaign
from tests.browser import support
from tests.browser.visit import Opens

pytestmark = pytest.mark.browser
WOULD_ASK = """() => {
  const leaving = new Event("beforeunload", { cancelable: true });
  window.dispatchEvent(leaving);
  return leaving.defaultPrevented;
}"""


def types_of(session: Session, campaign: Campaign) -> list[str]:
    session.expire_all()
    return [block["type"] for block in campaign.document["blocks"]]


def test_a_letter_is_written_reordered_and_saved_by_keyboard_alone(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    keys, letter = visit.page.keyboard, visit.page.frame_locator("iframe")
    visit.tab_to("[data-add=heading]")
    keys.press("Enter")
    assert visit.has_focus("#block-3 [data-field=text]")
    visit.types("Приходите весной")
    visit.is_saved()
    expect(letter.get_by_text("Приходите весной")).to_be_visible()

    visit.tab_to("#block-3 [data-key=up]", back=True)
    for _ in range(3):
        keys.press("Enter")
    assert visit.has_focus("#block-0 [data-key=up]")
    expect(visit.page.locator("#cl-live")).not_to_be_empty()
    visit.is_saved()

    visit.tab_to("[data-add=text]", back=True)
    keys.press("Space")
    keys.press("Control+b")
    visit.types("Запись с понедельника")
    keys.press("Control+s")
    visit.is_saved()
    expect(letter.locator("strong")).to_have_text("Запись с понедельника")
    assert types_of(session, draft) == ["heading", "heading", "text", "medical_warning", "text"]
    assert draft.document["blocks"][0]["text"] == "Приходите весной"
    support.check_page(visit.page, visit.witness)


def test_what_was_removed_can_be_brought_back_and_what_is_good_be_doubled(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    visit.tab_to("#block-0 [data-key=remove]")
    visit.page.keyboard.press("Enter")
    assert visit.has_focus("#block-0 [data-key=remove]")
    visit.is_saved()
    assert types_of(session, draft) == ["text", "medical_warning"]
    visit.tab_to("#cl-undo button")
    visit.page.keyboard.press("Enter")
    assert visit.has_focus("#block-0 [data-field=text]")
    visit.tab_to("#block-0 [data-key=duplicate]", back=True)
    visit.page.keyboard.press("Enter")
    assert visit.has_focus("#block-1 [data-field=text]")
    visit.is_saved()
    visit.page.wait_for_timeout(1_000)
    assert types_of(session, draft) == ["heading", "heading", "text", "medical_warning"]


def test_a_block_is_dragged_to_another_place(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    first = visit.page.locator("#block-0 .cl-grip").bounding_box()
    second = visit.page.locator("#block-1 .cl-block-body").bounding_box()
    assert first is not None
    assert second is not None
    mouse = visit.page.mouse
    mouse.move(first["x"] + 8, first["y"] + 8)
    mouse.down()
    mouse.move(second["x"] + 60, second["y"] + second["height"] - 4, steps=12)
    mouse.up()
    visit.is_saved()
    assert types_of(session, draft) == ["text", "heading", "medical_warning"]


def test_a_field_is_put_where_the_cursor_is(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    visit.tab_to("[data-path=subject] .cl-merge button")
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#subject")).to_be_focused()
    visit.is_saved()
    session.expire_all()
    assert "{{ greeting }}" in draft.subject


def test_what_is_wrong_is_told_at_its_place_and_stays_on_the_page(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    page = visit.page
    page.fill("#subject", "")
    page.click("[data-add=button]")
    page.fill("#block-3 [data-field=href]", "javascript:alert(1)")
    expect(page.locator("#subject[aria-invalid=true]")).to_be_visible()
    expect(page.locator("#block-3 [data-field=href][aria-invalid=true]")).to_be_visible()
    expect(page.locator("#cl-save-status[data-kind=bad]")).to_be_visible()
    assert page.evaluate(WOULD_ASK)
    support.check_page(page, visit.witness)
    page.fill("#subject", "Мы открылись")
    page.fill("#block-3 [data-field=href]", "https://clinic.example/весна")
    visit.is_saved()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)
    assert not page.evaluate(WOULD_ASK)
    assert types_of(session, draft)[-1] == "button"


def test_two_people_at_one_letter_are_told_and_choose(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    mine, theirs = (opens(f"/campaigns/{draft.id}/compose") for _ in range(2))
    theirs.page.fill("#subject", "Их тема")
    theirs.is_saved()
    mine.page.fill("#subject", "Моя тема")
    expect(mine.page.locator("#cl-conflict")).to_be_visible()
    assert mine.page.input_value("#subject") == "Моя тема"
    assert mine.page.evaluate(WOULD_ASK)
    support.check_page(mine.page, mine.witness)
    session.expire_all()
    assert draft.subject == "Их тема"
    mine.page.click("[data-conflict=mine]")
    mine.is_saved()
    session.expire_all()
    assert draft.subject == "Моя тема"


def test_a_server_out_of_reach_loses_nothing(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    visit.page.context.set_offline(True)
    visit.page.fill("#subject", "Без связи")
    expect(visit.page.locator("#cl-save-status[data-kind=bad]")).to_be_visible()
    visit.page.context.set_offline(False)
    visit.page.keyboard.press("Control+s")
    visit.is_saved()
    session.expire_all()
    assert draft.subject == "Без связи"


def test_next_saves_first(opens: Opens, session: Session, draft: Campaign) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    visit.page.fill("#subject", "В последний миг")
    visit.page.click("#cl-next")
    visit.page.wait_for_url("**/check")
    session.expire_all()
    assert draft.subject == "В последний миг"


def test_a_pasted_page_leaves_its_words_only(
    opens: Opens, session: Session, draft: Campaign
) -> None:
    visit = opens(f"/campaigns/{draft.id}/compose")
    visit.page.click("#block-1 [contenteditable]")
    visit.page.keyboard.press("Control+a")
    visit.page.evaluate(
        r"""() => {
          const data = new DataTransfer();
          data.setData("text/html", "<table><tr><td><b onclick='x()'>Из</b> Word</td></tr></table>"
            + "<img src='https://spy.example/p.png'><script>window.ran = 1<\/script>");
          document.activeElement.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    visit.is_saved()
    session.expire_all()
    html = draft.document["blocks"][1]["html"]
    assert "Word" in html
    assert "<img" not in html
    assert "onclick" not in html
    assert visit.witness.foreign == []
    assert visit.page.evaluate("() => window.ran") is None
