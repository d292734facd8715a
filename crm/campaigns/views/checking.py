"""Before the launch: who gets the letter, what is wrong with it, a test, the approval."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from crm import clock
from crm.campaigns import audience, letter, rules, service, trial, words
from crm.campaigns.forms import SpeedForm
from crm.campaigns.letter import Notice
from crm.campaigns.models import Campaign
from crm.campaigns.rules import TimeFault
from crm.campaigns.service import Approval, Hitch
from crm.campaigns.views.blueprint import bp, draft_or_launched, me
from crm.campaigns.views.speeding import lasts
from crm.clinic.service import details, missing
from crm.current import settings
from crm.db import session
from crm.errors import Invalid, later
from crm.letters.blocks import DocumentFault
from crm.mail.addresses import AddressFault
from crm.web import htmx
from crm.web.access import allow

HITCHES = {
    Hitch.LETTER_CHANGED: _l(
        "The letter was saved again after you opened this page. Look at it, and approve it anew."
    ),
    Hitch.NUMBER_GREW: _l(
        "More people would get the letter now than the button said. Look at the new number."
    ),
    Hitch.NOBODY: _l("Nobody can get this letter now, so nothing was scheduled."),
    Hitch.DETAILS_MISSING: _l("Sending is off until the clinic's details are complete."),
    Hitch.LETTER_FAULTY: _l("The letter cannot leave yet: see what has to be corrected."),
}
_WHERE = {"subject": _l("Subject"), "preheader": _l("Preheader"), "blocks": _l("Letter")}
_NO_NUMBER = later("The number of letters is missing. Open the page anew.")


@bp.get("/campaigns/<int:campaign_id>/check")
@allow("marketer", "dpo")
def check(campaign_id: int) -> ResponseReturnValue:
    """Show who would get the letter, who not and why, and what to correct."""
    campaign, mailing = draft_or_launched(campaign_id)
    if mailing is not None:
        return redirect(url_for("campaigns.show", campaign_id=campaign_id))
    return _page(campaign)


@bp.post("/campaigns/<int:campaign_id>/test")
@allow("marketer")
def send_test(campaign_id: int) -> ResponseReturnValue:
    """Send the letter to one mailbox, marked as a test."""
    campaign = service.find(session(), campaign_id)
    typed = request.form.get("address", "")
    try:
        trial.send(
            session(),
            campaign,
            typed,
            person=request.form.get("person", 0, type=int),
            staff=me(),
            settings=settings(),
            at=clock.now(),
        )
    except (AddressFault, trial.NotForTests) as fault:
        session().rollback()
        return _page(campaign, typed=typed, test_fault=_(fault.say)), fault.status
    except DocumentFault as fault:
        session().rollback()
        return _page(campaign, typed=typed, hitch=_(fault.say)), fault.status
    session().commit()
    htmx.toast(_("The test letter is on its way."))
    return redirect(url_for("campaigns.check", campaign_id=campaign_id))


@bp.post("/campaigns/<int:campaign_id>/approve")
@allow("marketer")
def approve(campaign_id: int) -> ResponseReturnValue:
    """Schedule the mailing, if the number in the button still holds."""
    campaign = service.find(session(), campaign_id)
    at, speed = clock.now(), SpeedForm()
    if not speed.validate():
        return _page(campaign, speed=speed), 422
    try:
        approval = Approval(
            count=_number("count"),
            revision=_number("revision"),
            due_at=_due(at),
            staff_id=me().id,
            per_minute=speed.per_minute.data,
        )
    except TimeFault as fault:
        return _page(campaign, speed=speed, time_fault=_(fault.say)), fault.status
    hitch = service.approve(session(), campaign_id, approval, settings=settings(), at=at)
    session().commit()
    if hitch in HITCHES:
        return _page(campaign, speed=speed, hitch=str(HITCHES[hitch])), 409
    if hitch is None:
        htmx.toast(_("The campaign is approved."))
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))


def _page(campaign: Campaign, speed: SpeedForm | None = None, **said: str) -> str:
    at, clinic = clock.now(), details(session())
    reached = audience.count(session(), at=at)
    found = letter.notices(campaign, clinic, settings())
    chosen: dict[str, Any] = {
        "typed": "",
        "test_fault": "",
        "time_fault": "",
        "hitch": "",
        "when": request.form.get("when", "now"),
        "on": request.form.get("on", ""),
        "person": request.form.get("person", "0"),
        **said,
    }
    return render_template(
        "campaigns/check.html",
        campaign=campaign,
        clinic=clinic,
        audience=reached,
        speed=speed or SpeedForm(),
        lasts=lasts(reached.reached, speed),
        reasons=words.REASONS,
        missing=[str(words.DETAILS[name]) for name in missing(clinic)],
        findings=[_finding(one, campaign) for one in found],
        blocked=bool(letter.errors(found)),
        people=letter.PEOPLE,
        addresses=trial.addresses(session(), me()),
        now_local=f"{at.astimezone(ZoneInfo(clinic.zone)):%Y-%m-%dT%H:%M}",
        **chosen,
    )


def _finding(one: Notice, campaign: Campaign) -> dict[str, str]:
    head, _dot, rest = one.path.partition(".")
    place = str(_WHERE.get(head, _WHERE["blocks"]))
    anchor = head if head in ("subject", "preheader") else "cl-blocks"
    number = rest.partition(".")[0]
    if number.isdigit():
        kind = campaign.document["blocks"][int(number)].get("type", "")
        name = words.BLOCKS.get(str(kind), "")
        place = _("Block %(number)s, %(name)s", number=int(number) + 1, name=name)
        anchor = f"block-{number}"
    return {
        "place": place,
        "anchor": anchor,
        "severity": one.severity.value,
        "say": _(one.say, **one.values),
        "law": one.law,
    }


def _number(name: str) -> int:
    typed = request.form.get(name, "")
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 9):
        raise Invalid(say=_NO_NUMBER)
    return int(typed)


def _due(at: datetime) -> datetime:
    if request.form.get("when") != "later":
        return at
    zone = ZoneInfo(details(session()).zone)
    return rules.read_local(request.form.get("on", ""), zone, at=at)
