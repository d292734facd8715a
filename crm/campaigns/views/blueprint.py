"""The blueprint, and what all views of campaigns need."""

from typing import cast

from flask import Blueprint
from flask_babel import format_decimal
from flask_security import current_user

from crm.campaigns import service, words
from crm.campaigns.models import Campaign
from crm.db import session
from crm.delivery.models import Mailing
from crm.staff.models import Staff

bp = Blueprint("campaigns", __name__)


@bp.app_context_processor
def _words() -> dict[str, object]:
    return {"campaign_chip": chip, "in_seconds": in_seconds}


def me() -> Staff:
    """Return the signed-in member of staff."""
    return cast("Staff", current_user)


def draft_or_launched(campaign_id: int) -> tuple[Campaign, Mailing | None]:
    """Return the campaign and its mailing, None while it is a draft. Raises NotFound."""
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign) if campaign.mailing_id else None
    return campaign, mailing


def chip(mailing: Mailing | None) -> tuple[str, str]:
    """Return the state in words and the chip that shows it."""
    return words.DRAFT if mailing is None else words.MAILING[mailing.state]


def in_seconds(took_ms: int) -> str:
    """Return ``0,4`` or ``0.4``: seconds as the language of the page writes them."""
    return str(format_decimal(took_ms / 1000, format="0.0#"))
