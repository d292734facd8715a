"""What became of each letter; and sending the uncertain ones again."""

from collections.abc import Collection
from enum import StrEnum
from operator import attrgetter
from typing import TypeVar

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from crm import clock
from crm.campaigns import journal, service, words
from crm.campaigns.views.blueprint import bp, me
from crm.consent.rules import Reason
from crm.db import session
from crm.delivery import resend
from crm.delivery import service as delivery
from crm.delivery.states import DeliveryState
from crm.web import htmx, paging
from crm.web.access import allow
from crm.web.filters import thousands

Choice = TypeVar("Choice", bound=StrEnum)
_LARGEST = 2**63 - 1


@bp.get("/campaigns/<int:campaign_id>/journal")
@bp.get("/campaigns/<int:campaign_id>/again/<int:mailing_id>/journal")
@allow("marketer", "dpo")
def log(campaign_id: int, mailing_id: int | None = None) -> str:
    """Show what became of each letter."""
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign, mailing_id)
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
    uncertain = [one.id for one in found if one.state is DeliveryState.UNCERTAIN]
    return render_template(
        "campaigns/journal.html",
        campaign=campaign,
        mailing=mailing,
        mailing_id=mailing_id,
        page=paging.cut(found, place, key=attrgetter("id")),
        tally=delivery.tally(session(), mailing.id),
        state=state,
        reason=reason,
        states=words.DELIVERY,
        reasons=words.REASONS,
        sent_again=resend.sent_again(session(), mailing.id, uncertain),
        uncertain_left=resend.how_many_left(session(), mailing.id) if uncertain else 0,
    )


@bp.get("/campaigns/<int:campaign_id>/resend")
@bp.get("/campaigns/<int:campaign_id>/again/<int:mailing_id>/resend")
@allow("marketer")
def ask_again(campaign_id: int, mailing_id: int | None = None) -> ResponseReturnValue:
    """Ask before uncertain letters are sent again, and tell what it means."""
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign, mailing_id)
    chosen = None if request.args.get("all") else _chosen(request.args.getlist("letter"))
    count = resend.how_many_left(session(), mailing.id, chosen)
    return render_template(
        "campaigns/resend.html",
        campaign=campaign,
        mailing=mailing,
        mailing_id=mailing_id,
        chosen=chosen,
        count=count,
    )


@bp.post("/campaigns/<int:campaign_id>/resend")
@bp.post("/campaigns/<int:campaign_id>/again/<int:mailing_id>/resend")
@allow("marketer")
def send_again(campaign_id: int, mailing_id: int | None = None) -> ResponseReturnValue:
    """Send them again, by a mailing of its own."""
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign, mailing_id)
    chosen = None if request.form.get("all") else _chosen(request.form.getlist("letter"))
    if chosen is None and resend.how_many_left(session(), mailing.id) > _said():
        htmx.toast(_("More letters became uncertain meanwhile. Look at the new number."), "warning")
        return redirect(
            url_for("campaigns.ask_again", campaign_id=campaign_id, mailing_id=mailing_id, all=1)
        )
    again = resend.resend(session(), mailing, chosen, by=me().id, at=clock.now())
    session().commit()
    if again is None:
        htmx.toast(_("Nothing was sent: these letters have been sent again already."), "warning")
        return redirect(url_for("campaigns.show", campaign_id=campaign_id, mailing_id=mailing_id))
    count = again.planned or 0
    say = ngettext(
        "%(count)s letter is being sent again.",
        "%(count)s letters are being sent again.",
        count,
        count=thousands(count),
    )
    htmx.toast(say)
    return redirect(url_for("campaigns.show", campaign_id=campaign_id, mailing_id=again.id))


def _said() -> int:
    """Return the number that stood in the button."""
    typed = request.form.get("all", "")
    return int(typed[:20]) if typed.isascii() and typed.isdigit() else 0


def _chosen(typed: Collection[str]) -> list[int]:
    """Return the deliveries that were ticked; nonsense is none of them."""
    numbers = [int(one[:20]) for one in typed if one.isascii() and one.isdigit()]
    return sorted({number for number in numbers if number <= _LARGEST})[: paging.PAGE_SIZE]


def _choice(name: str, kind: type[Choice]) -> Choice | None:
    try:
        return kind(request.args.get(name, ""))
    except ValueError:
        return None
