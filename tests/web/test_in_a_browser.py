from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import support
from tests.web import gallery
from tests.web.exhibits import Person

pytestmark = pytest.mark.browser
PAGES = ["/", "/contacts", "/empty", "/campaigns/index", "/late", "/login", "/p/x", "/f/x"]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    people = {
        theme: Person(roles=["marketer", "receptionist"], theme=theme)
        for theme in ("light", "dark")
    }
    with support.serving(gallery.build(people=people)) as address:
        yield address


def enter(browser: Browser, origin: str, *, size: str, theme: str) -> BrowserContext:
    window = support.SIZES[size]
    if theme == "dark":
        context = browser.new_context(viewport=window, color_scheme="dark")
    else:
        context = browser.new_context(viewport=window, color_scheme="light")
    context.add_cookies([{"name": "X-Who", "value": theme, "url": origin}])
    return context


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    with enter(browser, origin, size="desktop", theme="light") as context:
        yield context.new_page()


@pytest.mark.parametrize(("size", "theme"), [("desktop", "dark"), ("phone", "light")])
def test_every_macro_is_accessible_within_the_policy_and_fits(
    browser: Browser, origin: str, size: str, theme: str
) -> None:
    with enter(browser, origin, size=size, theme=theme) as context:
        for path in PAGES:
            page = context.new_page()
            witness = support.watch(page, origin)
            page.goto(origin + path)
            support.check_page(page, witness)
            page.close()


def test_the_slash_leads_into_the_search(page: Page, origin: str) -> None:
    page.goto(f"{origin}/contacts")
    page.keyboard.press("/")

    expect(page.locator("#q")).to_be_focused()
    expect(page.locator("#q")).to_have_value("")


def test_ticking_all_rows_counts_them_and_unticking_one_shows_it(page: Page, origin: str) -> None:
    page.goto(f"{origin}/contacts")
    page.locator("[data-check-all]").check()

    expect(page.locator("[data-count]")).to_have_text("14")
    page.locator("input[name=ids]").first.uncheck()
    expect(page.locator("[data-count]")).to_have_text("13")
    assert page.locator("[data-check-all]").evaluate("box => box.indeterminate")


def test_an_htmx_post_carries_the_token_and_its_news_shows(page: Page, origin: str) -> None:
    page.goto(origin)
    page.get_by_role("button", name="Сделать").click()

    expect(page.get_by_role("status").filter(has_text="согласие отозвано")).to_be_visible()


def test_a_refusal_reaches_the_person_as_an_alert_in_its_own_words(page: Page, origin: str) -> None:
    page.goto(origin)
    page.get_by_role("button", name="Опоздать").click()

    alert = page.get_by_role("alert").filter(has_text="The mailing has already gone.")
    expect(alert).to_be_visible()
    expect(alert).to_have_count(1)


def test_polling_changes_what_changed_and_leaves_a_half_typed_word_alone(
    page: Page, origin: str
) -> None:
    page.goto(f"{origin}/watch")
    page.locator("#typed").press_sequentially("почти")

    expect(page.locator("#turn")).to_have_text("2", timeout=20_000)
    expect(page.locator("#typed")).to_be_focused()
    expect(page.locator("#typed")).to_have_value("почти")
    page.wait_for_timeout(700)
    expect(page.locator("#turn")).to_have_text("2")


def test_a_toast_can_be_closed(page: Page, origin: str) -> None:
    page.goto(origin)
    toast = page.locator(".cl-toast-danger")
    toast.get_by_role("button").click()

    expect(toast).to_have_count(0)


def test_leaving_a_half_filled_form_asks_first(page: Page, origin: str) -> None:
    asked: list[str] = []

    def stay(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    page.on("dialog", stay)
    page.goto(origin)
    page.goto(f"{origin}/empty")
    assert asked == []

    page.goto(origin)
    page.locator("#subject").press_sequentially("ещё")
    page.goto(f"{origin}/empty")
    assert asked == ["beforeunload"]


def test_the_phone_s_menu_opens_and_stays_accessible(browser: Browser, origin: str) -> None:
    with enter(browser, origin, size="phone", theme="dark") as context:
        page = context.new_page()
        witness = support.watch(page, origin)
        page.goto(f"{origin}/empty")
        page.locator(".navbar-toggler").click()

        expect(page.locator("#cl-menu.show")).to_be_visible()
        support.check_page(page, witness)


def test_without_scripts_the_phone_s_menu_stands_open(browser: Browser, origin: str) -> None:
    phone = browser.new_context(viewport=support.PHONE, java_script_enabled=False)
    with phone as context:
        context.add_cookies([{"name": "X-Who", "value": "light", "url": origin}])
        page = context.new_page()
        page.goto(f"{origin}/empty")

        expect(page.locator("a[href='/contacts']")).to_be_visible()


def test_a_hidden_confirmation_unfolds_without_scripts(browser: Browser, origin: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        context.add_cookies([{"name": "X-Who", "value": "light", "url": origin}])
        page = context.new_page()
        page.goto(origin)
        expect(page.get_by_role("button", name="Удалить", exact=True)).to_be_hidden()
        page.get_by_text("Удалить черновик…").click()

        expect(page.get_by_role("button", name="Удалить", exact=True)).to_be_visible()


def test_a_script_in_the_page_would_be_stopped(page: Page, origin: str) -> None:
    """The collector of violations works: a forbidden style is noticed."""
    support.watch(page, origin)
    page.goto(origin)
    page.evaluate("() => document.body.setAttribute('style', 'color: red')")

    assert any("style-src" in fault for fault in support.csp_violations(page))
