"""What tests in a real browser share: a Chromium that stays on this machine, and its witnesses.

with support.serving(app) as origin, support.chromium() as browser:
    page = browser.new_page(viewport=support.PHONE)
    witness = support.watch(page, origin)
    page.goto(f"{origin}/contacts")
    support.check_page(page, witness)
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from devtools.browser import ARGUMENTS, find

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
MISSING = "No browser: install it with `apt-get install chromium`."
DESKTOP = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
SIZES = {"desktop": DESKTOP, "phone": PHONE}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NOTE_VIOLATIONS = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""
RUN_AXE = """
async (tags) => (await axe.run(document, {
  runOnly: {type: "tag", values: tags}, resultTypes: ["violations"],
})).violations
  .map((fault) => ({id: fault.id, impact: fault.impact, nodes: fault.nodes.map((node) =>
    `${node.target.join(" ")}: ${[...node.any, ...node.all][0]?.message ?? ""}`)}))
"""


@dataclass
class Witness:
    """What a page did that no page of ours may do."""

    origin: str
    foreign: list[str] = field(default_factory=list)
    """Requests that left our own address."""
    complaints: list[str] = field(default_factory=list)
    """Uncaught exceptions."""

    def forget(self) -> None:
        """Begin anew, for the next page in the same tab."""
        self.foreign.clear()
        self.complaints.clear()


def watch(page: Page, origin: str) -> Witness:
    """Note what ``page`` does from now on; call before the first ``goto``."""
    witness = Witness(origin=origin)

    def note_request(request: Request) -> None:
        if not request.url.startswith((origin, "data:", "blob:", "about:")):
            witness.foreign.append(request.url)

    page.add_init_script(NOTE_VIOLATIONS)
    page.on("request", note_request)
    page.on("pageerror", lambda error: witness.complaints.append(str(error)))
    return witness


def axe(page: Page) -> list[dict[str, Any]]:
    """Return what axe finds wrong with the page as it stands: WCAG 2.2 AA and best practice."""
    # Evaluated, not added as a script element: the policy of our pages refuses the latter.
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(RUN_AXE, TAGS)
    return found


def csp_violations(page: Page) -> list[str]:
    """Return what the Content-Security-Policy of the present document had to block."""
    found: list[str] = page.evaluate("() => window.__violations")
    return found


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    wider: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider


def headings(page: Page) -> int:
    """Return how many h1 the page has; it should be one, whatever its role."""
    return page.locator("h1").count()


def faults(page: Page, witness: Witness) -> dict[str, object]:
    """Return what a page owes and does not give, by name; empty where all is well."""
    asked = {
        "accessibility": axe(page),
        "policy": csp_violations(page),
        "requests elsewhere": [*witness.foreign],
        "complaints": [*witness.complaints],
        "too wide by": max(overflow(page), 0),
        "level 1 headings but one": headings(page) - 1,
    }
    return {name: found for name, found in asked.items() if found}


def check_page(page: Page, witness: Witness) -> None:
    """Assert what every page owes: accessible, inside its policy, at home, no wider than it may."""
    assert faults(page, witness) == {}, page.url


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a Chromium that reaches this machine and nothing else.

    Where there is none the test is left out, but fails under CI.
    """
    program = find()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def serving(app: "WSGIApplication", *, port: int = 0) -> Iterator[str]:
    """Serve a WSGI app on a port of this machine, 0 for any free one, and yield its address."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet(WSGIRequestHandler):
    """Answers without a line on the terminal for each."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - theirs
        """Say nothing."""
