"""Furniture every page shares. It knows no feature; features come to it.

``init`` wires it all. What a view calls: ``access.allow``, ``headers.show_letter`` and
``headers.embeddable_from``, ``paging.place`` and ``paging.cut``, ``htmx.is_htmx`` and
``htmx.toast``. What a template calls: the macros of ``templates/_parts``, the filters of
``filters``, ``asset``, ``may``, ``page_address``.
"""

from collections.abc import Callable

from flask import Flask
from jinja2 import StrictUndefined

from crm.web import (
    assets,
    csrf,
    ending,
    filters,
    guard,
    headers,
    htmx,
    limits,
    locale,
    look,
    nav,
    paging,
    refusals,
    strip,
)


def init(app: Flask, *, zone: Callable[[], str | None] = locale.moscow) -> None:
    """Give ``app`` its guard, headers, error pages, languages, filters and assets.

    ``zone`` names the clinic's time zone (IANA) whenever a page shows a time. Call this before
    any feature adds ``before_request`` hooks: a stranger is turned away first of all; and after
    ``db.init_app``.
    """
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    ending.init(app)
    guard.init(app)
    csrf.init(app)
    headers.init(app)
    htmx.init(app)
    locale.init(app, zone=zone)
    filters.init(app)
    assets.init(app)
    nav.init(app)
    strip.init(app)
    look.init(app)
    paging.init(app)
    refusals.init(app)
    limits.init(app)
