"""The operator's page: one look tells whether all is well."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_babel import gettext as _

from crm import clock
from crm.current import settings
from crm.db import session
from crm.delivery import providers
from crm.operations import letters, stop_gap, words
from crm.operations.alarm import Alarm
from crm.operations.findings import findings, is_well
from crm.operations.look import look
from crm.web.access import allow, may
from crm.web.strip import Notice

bp = Blueprint("operations", __name__)

MOST_LEASES = 20


@bp.get("/operations")
@allow("admin", "dpo")
def show() -> str:
    """Show everything that sending needs."""
    return render_template("operations/show.html", **_figures(clock.now()))


@bp.get("/operations/now")
@allow("admin", "dpo")
def now() -> str:
    """Return the same figures for polling."""
    return render_template("operations/_now.html", **_figures(clock.now()))


def strip_of(alarm: Alarm) -> Callable[[], Notice | None]:
    """Return what the layout asks for on every page of the staff."""

    def notice() -> Notice | None:
        found = alarm.finding(session(), settings(), at=clock.now())
        if found is None or request.endpoint in (found.endpoint, "operations.show"):
            return None  # the page itself says it
        page = found.endpoint if found.endpoint and may(found.endpoint) else None
        return Notice(say=words.said(found), href=url_for(page) if page else None)

    return notice


def _figures(at: datetime) -> dict[str, Any]:
    seen = look(session(), settings(), at=at)
    found = findings(seen)
    return {
        "look": seen,
        "findings": found,
        "is_well": is_well(found),
        "say": words.said,
        "words": words,
        "where": _where,
        "leases": letters.live_leases(session(), limit=MOST_LEASES),
        "patience_s": round(stop_gap.PATIENCE.total_seconds()),
    }


def _where(destination: str) -> str:
    kind, _colon, name = destination.partition(":")
    if kind == "provider":
        return str(_(providers.NAMES[name]))
    return name if kind == "domain" else str(_("Mail relay: all campaigns"))
