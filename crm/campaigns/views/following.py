"""Under way and after: progress, pause, resume, stop, and what became of each letter."""

import time
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import TypeVar

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from crm import clock
from crm.campaigns import follow, journal, rules, service, words
from crm.campaigns.views.blueprint import bp, draft_or_launched, me
from crm.clinic.service import details
from crm.consent import gate
from crm.consent.rules import Reason
from crm.db import session
from crm.delivery import service as delivery
from crm.delivery.states import DeliveryState
from crm.staff.models import Staff
from crm.web import htmx, paging
from crm.web.access import allow, may

STOP_POLLING = 286
Choice = TypeVar("Choice", bound=StrEnum)


@bp.get("/campaigns/<int:campaign_id>")
@allow("marketer", "dpo")
def show(campaign_id: int) -> ResponseReturnValue:
    """Show how the campaign is going; a draft leads to its editor, or to its check page."""
    campaign, mailing = draft_or_launched(campaign_id)
    if mailing is None:
        page = "campaigns.compose" if may("campaigns.compose") else "campaigns.check"
        return redirect(url_for(page, campaign_id=campaign_id))
    approver = session().get(Staff, campaign.approved_by) if campaign.approved_by else None
    return render_template(
        "campaigns/show.html",
        clinic=details(session()),
        approver=approver.name if approver else "",
        history=follow.history(session(), campaign_id),
        **_figures(campaign_id),
    )


@bp.get("/campaigns/<int:campaign_id>/progress")
@allow("marketer", "dpo")
def progress(campaign_id: int) -> Response:
    """Return the figures for polling; 286 where nothing will change any more.

    ``?state=`` is the state that the page shows: when it has changed, so have its buttons, and
    the page is asked to load itself anew.
    """
    figures = _figures(campaign_id)
    response = make_response(render_template("campaigns/_progress.html", **figures))
    looked = figures["progress"]
    assert isinstance(looked, follow.Progress)  # noqa: S101 - made a few lines below
    if request.args.get("state") not in (None, looked.state.value):
        response.headers["HX-Refresh"] = "true"
    if looked.ended:
        response.status_code = STOP_POLLING
    return response


@bp.post("/campaigns/<int:campaign_id>/pause")
@allow("marketer")
def pause(campaign_id: int) -> ResponseReturnValue:
    """Pause, and say what had left by then."""
    return _halt(campaign_id, service.pause)


@bp.post("/campaigns/<int:campaign_id>/stop")
@allow("marketer")
def stop(campaign_id: int) -> ResponseReturnValue:
    """Stop for good, and say what had left by then."""
    return _halt(campaign_id, service.stop)


@bp.post("/campaigns/<int:campaign_id>/resume")
@allow("marketer")
def resume(campaign_id: int) -> ResponseReturnValue:
    """Let it run again."""
    campaign = service.find(session(), campaign_id)
    service.resume(session(), campaign, staff_id=me().id, at=clock.now())
    session().commit()
    htmx.toast(_("The campaign goes on."))
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))


@bp.post("/campaigns/<int:campaign_id>/send-now")
@allow("marketer")
def send_now(campaign_id: int) -> ResponseReturnValue:
    """Let a mailing that missed its time go now."""
    campaign = service.find(session(), campaign_id)
    service.send_overdue(session(), campaign, staff_id=me().id, at=clock.now())
    session().commit()
    htmx.toast(_("The campaign starts now."))
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))


@bp.get("/campaigns/<int:campaign_id>/journal")
@allow("marketer", "dpo")
def log(campaign_id: int) -> str:
    """Show what became of each letter."""
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign)
    place = paging.place()
    state, reason = _choice("state", DeliveryState), _choice("reason", Reason)
    found = journal.entries(
        session(),
        mailing.id,
        state=state,
        reason=reason,
        after_id=place.after_id,
        before_id=place.before_id,
        limit=paging.LIMIT,
    )
    return render_template(
        "campaigns/journal.html",
        campaign=campaign,
        mailing=mailing,
        page=paging.cut(found, place, key=attrgetter("id")),
        tally=delivery.tally(session(), mailing.id),
        state=state,
        reason=reason,
        states=words.DELIVERY,
        reasons=words.REASONS,
    )


def _halt(campaign_id: int, act: Callable[..., None]) -> ResponseReturnValue:
    """Record first, commit, then wait at the gate: only then is there anything to tell."""
    began = time.monotonic()
    campaign = service.find(session(), campaign_id)
    staff_id, at = me().id, clock.now()
    act(session(), campaign, staff_id=staff_id, at=at)
    session().commit()
    passed = gate.barrier(session())
    took_ms = round((time.monotonic() - began) * 1000)
    _write_down(campaign_id, passed=passed, took_ms=took_ms, staff_id=staff_id, at=clock.now())
    session().commit()
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))


def _write_down(
    campaign_id: int, *, passed: bool, took_ms: int, staff_id: int, at: datetime
) -> None:
    campaign = service.find(session(), campaign_id)
    service.note_halt(session(), campaign, passed=passed, took_ms=took_ms, staff_id=staff_id, at=at)


def _figures(campaign_id: int) -> dict[str, object]:
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign)
    looked = follow.progress(session(), mailing, at=clock.now())
    return {
        "campaign": campaign,
        "mailing": mailing,
        "progress": looked,
        "percent": rules.percent(looked.tally.settled, looked.tally.planned),
        "reasons": words.REASONS,
        "pace": details(session()).letters_per_minute,
    }


def _choice(name: str, kind: type[Choice]) -> Choice | None:
    try:
        return kind(request.args.get(name, ""))
    except ValueError:
        return None
