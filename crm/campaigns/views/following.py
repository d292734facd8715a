"""Under way and after: progress, pause, resume, stop, speed; also of what is sent again."""

import time
from collections.abc import Callable
from typing import Any

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from crm import clock
from crm.campaigns import follow, rules, service, words
from crm.campaigns.forms import SpeedForm
from crm.campaigns.history import history, sent_again
from crm.campaigns.models import Campaign
from crm.campaigns.views import refused
from crm.campaigns.views.blueprint import bp, draft_or_launched, me
from crm.campaigns.views.certifying import certificate_of
from crm.campaigns.views.speeding import lasts
from crm.campaigns.views.waiting import sentences
from crm.clinic.service import details
from crm.consent import gate
from crm.current import settings
from crm.db import session
from crm.delivery.models import Mailing
from crm.delivery.providers import NAMES
from crm.delivery.resend import how_many_left
from crm.delivery.states import MailingState
from crm.staff.models import Staff
from crm.web import htmx
from crm.web.access import allow, may

STOP_POLLING = 286


@bp.get("/campaigns/<int:campaign_id>")
@bp.get("/campaigns/<int:campaign_id>/again/<int:mailing_id>")
@allow("marketer", "dpo")
def show(campaign_id: int, mailing_id: int | None = None) -> ResponseReturnValue:
    """Show how a mailing is going; a draft leads to its editor, or to its check page."""
    campaign, first = draft_or_launched(campaign_id)
    if first is None:
        page = "campaigns.compose" if may("campaigns.compose") else "campaigns.check"
        return redirect(url_for(page, campaign_id=campaign_id))
    return _page(campaign, service.mailing_of(session(), campaign, mailing_id))


def _page(campaign: Campaign, mailing: Mailing, speed: SpeedForm | None = None) -> str:
    figures, speed = _figures(campaign, mailing), speed or SpeedForm(obj=mailing)
    planned = mailing.planned is not None
    letters = figures["progress"].tally.queued if planned else campaign.approved_count or 0
    approver = session().get(Staff, campaign.approved_by) if campaign.approved_by else None
    return render_template(
        "campaigns/show.html",
        clinic=details(session()),
        approver=approver.name if approver else "",
        history=history(session(), campaign, mailing),
        again=sent_again(session(), mailing.id),
        uncertain_left=how_many_left(session(), mailing.id),
        certificate=certificate_of(campaign, mailing),
        withheld=follow.withheld(session(), mailing),
        reasons=words.REASONS,
        held=_(mailing.held_because) if mailing.held_because else "",
        speed=speed,
        letters=letters,
        lasts=lasts(letters, speed),
        **figures,
    )


@bp.get("/campaigns/<int:campaign_id>/progress")
@bp.get("/campaigns/<int:campaign_id>/again/<int:mailing_id>/progress")
@allow("marketer", "dpo")
def progress(campaign_id: int, mailing_id: int | None = None) -> Response:
    """Return the figures for polling; 286 where nothing will change any more.

    ``?state=`` is the state that the page shows: when it has changed, so have its buttons, and
    the page is asked to load itself anew.
    """
    campaign = service.find(session(), campaign_id)
    figures = _figures(campaign, service.mailing_of(session(), campaign, mailing_id))
    response = make_response(render_template("campaigns/_progress.html", **figures))
    looked = figures["progress"]
    assert isinstance(looked, follow.Progress)  # noqa: S101 - made a few lines below
    if request.args.get("state") not in (None, looked.state.value):
        response.headers["HX-Refresh"] = "true"
    if looked.ended:
        response.status_code = STOP_POLLING
    return response


@bp.post("/campaigns/<int:campaign_id>/pause")
@bp.post("/campaigns/<int:campaign_id>/again/<int:mailing_id>/pause")
@allow("marketer")
def pause(campaign_id: int, mailing_id: int | None = None) -> ResponseReturnValue:
    """Pause, and say what had left by then."""
    return _halt(campaign_id, mailing_id, service.pause)


@bp.post("/campaigns/<int:campaign_id>/stop")
@bp.post("/campaigns/<int:campaign_id>/again/<int:mailing_id>/stop")
@allow("marketer")
def stop(campaign_id: int, mailing_id: int | None = None) -> ResponseReturnValue:
    """Stop for good, and say what had left by then."""
    return _halt(campaign_id, mailing_id, service.stop)


@bp.post("/campaigns/<int:campaign_id>/resume")
@bp.post("/campaigns/<int:campaign_id>/again/<int:mailing_id>/resume")
@allow("marketer")
def resume(campaign_id: int, mailing_id: int | None = None) -> ResponseReturnValue:
    """Let it run again."""
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign, mailing_id)
    service.resume(session(), campaign, mailing, staff_id=me().id, at=clock.now())
    session().commit()
    htmx.toast(_("The campaign goes on."))
    return redirect(url_for("campaigns.show", campaign_id=campaign_id, mailing_id=mailing_id))


@bp.post("/campaigns/<int:campaign_id>/speed")
@bp.post("/campaigns/<int:campaign_id>/again/<int:mailing_id>/speed")
@allow("marketer")
def set_speed(campaign_id: int, mailing_id: int | None = None) -> ResponseReturnValue:
    """Let it go faster or slower from now on."""
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign, mailing_id)
    speed = SpeedForm()
    if not speed.validate():
        return _page(campaign, mailing, speed), 422
    service.set_speed(
        session(),
        campaign,
        mailing,
        per_minute=speed.per_minute.data,
        staff_id=me().id,
        at=clock.now(),
    )
    session().commit()
    htmx.toast(_("The speed is set."))
    return redirect(url_for("campaigns.show", campaign_id=campaign_id, mailing_id=mailing_id))


@bp.post("/campaigns/<int:campaign_id>/send-now")
@allow("marketer")
def send_now(campaign_id: int) -> ResponseReturnValue:
    """Let a mailing that missed its time go now."""
    campaign = service.find(session(), campaign_id)
    service.send_overdue(session(), campaign, staff_id=me().id, at=clock.now())
    session().commit()
    htmx.toast(_("The campaign starts now."))
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))


def _halt(
    campaign_id: int, mailing_id: int | None, act: Callable[..., None]
) -> ResponseReturnValue:
    """Record first, commit, then wait at the gate: only then is there anything to tell."""
    began = time.monotonic()
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign, mailing_id)
    staff_id = me().id
    act(session(), campaign, mailing, staff_id=staff_id, at=clock.now())
    session().commit()
    passed = gate.barrier(session())
    took_ms = round((time.monotonic() - began) * 1000)
    service.note_halt(
        session(),
        campaign,
        mailing,
        passed=passed,
        took_ms=took_ms,
        staff_id=staff_id,
        at=clock.now(),
    )
    session().commit()
    return redirect(url_for("campaigns.show", campaign_id=campaign_id, mailing_id=mailing_id))


def _figures(campaign: Campaign, mailing: Mailing) -> dict[str, Any]:
    at = clock.now()
    looked = follow.progress(session(), mailing, at=at)
    limits = (details(session()).letters_per_minute, mailing.per_minute)
    is_running = mailing.state is MailingState.RUNNING
    return {
        "campaign": campaign,
        "mailing": mailing,
        "mailing_id": mailing.id if mailing.resends_id is not None else None,
        "progress": looked,
        "percent": rules.percent(looked.tally.settled, looked.tally.planned),
        "pace": min(filter(None, limits), default=0) if is_running else 0,
        "providers": NAMES,
        "about_us": refused.sentences(mailing.id),
        **sentences(mailing, looked, settings(), at=at),
    }
