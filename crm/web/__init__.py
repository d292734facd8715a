"""Furniture every page shares. It knows no feature; features come to it.

``init`` wires it all. What a view calls: ``access.allow``, ``headers.…``, ``paging.…``,
``htmx.is_htmx``, ``htmx.toast``. What a template calls: ``asset``, ``nav_sections``,
``other_languages`` and the filters of ``filters``.
"""

from collections.abc import Callable

from flask import Flask
from jinja2 import StrictUndefined

from crm.web import assets, filters, guard, headers, htmx, locale, look, nav, paging, refusals
from crm.web.csrf import csrf

__all__ = ["csrf", "init"]


def init(app: Flask, *, zone: Callable[[], str | None] = locale.moscow) -> None:
    """Give ``app`` its guard, headers, error pages, languages, filters and assets.

    ``zone`` names the clinic's time zone (IANA) whenever a page shows a time. Call this before
    any feature adds ``before_request`` hooks: a stranger is turned away first of all.
    """
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)  # a form may be open all day
    guard.init(app)
    csrf.init_app(app)
    headers.init(app)
    htmx.init(app)
    locale.init(app, zone=zone)
    filters.init(app)
    assets.init(app)
    nav.init(app)
    look.init(app)
    paging.init(app)
    refusals.init(app)
