"""A page in a browser in which somebody is signed in, and what hands do there."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import support
from tests.browser.support import Witness

PAUSE_MS = 10_000
"""How long a page may take to do what it promised."""
MOST_TABS = 80


class Visit:
    """With its witness, opened at ``path``."""

    def __init__(self, context: BrowserContext, origin: str, path: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PAUSE_MS)
        self.witness: Witness = support.watch(self.page, origin)
        self.page.goto(origin + path)

    def tab_to(self, selector: str, *, back: bool = False) -> None:
        """Press Tab until the focus is there."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
            if self.has_focus(selector):
                return
        pytest.fail(f"no way to {selector} by keyboard")

    def has_focus(self, selector: str) -> bool:
        return bool(
            self.page.evaluate("(one) => document.activeElement?.matches(one) ?? false", selector)
        )

    def is_saved(self) -> None:
        expect(self.page.locator("#cl-save-status[data-kind=on]")).to_be_visible(timeout=PAUSE_MS)

    def types(self, words: str) -> None:
        self.page.keyboard.type(words)


Opens = Callable[..., Visit]
