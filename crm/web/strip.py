"""A sentence above every page of the staff while something concerns all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

_KEY = "crm.strip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The sentence, and the page where something can be done, if the reader may open it."""

    say: str
    href: str | None = None


def init(app: Flask) -> None:
    """Make it known to the layout; nothing is shown until a feature asks for it."""
    app.extensions[_KEY] = lambda: None
    app.add_template_global(strip_notice)


def show(app: Flask, asked: Callable[[], Notice | None]) -> None:
    """Show what ``asked`` returns; it is called on every page, so it must cost nothing."""
    app.extensions[_KEY] = asked


def strip_notice() -> Notice | None:
    """Return what stands above the page now."""
    return cast("Callable[[], Notice | None]", current_app.extensions[_KEY])()
