"""The certificate of a mailing that has ended: on its page, and as files."""

import csv
import io

from flask import Response, jsonify
from flask_babel import gettext as _

from crm.campaigns import certificate as certificates
from crm.campaigns import service, words
from crm.campaigns.certificate import Certificate
from crm.campaigns.history import list_hash
from crm.campaigns.models import Campaign
from crm.campaigns.views.blueprint import bp
from crm.consent.rules import Reason
from crm.db import session
from crm.delivery.models import Mailing
from crm.delivery.states import DeliveryState
from crm.errors import NotFound
from crm.web.access import allow

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Without it spreadsheets take the words for Latin-1."""


def certificate_of(campaign: Campaign, mailing: Mailing) -> Certificate | None:
    """Return how every letter ended; None while the mailing is not closed."""
    if mailing.certificate is None:
        return None
    return certificates.read(mailing.certificate, list_hash=list_hash(session(), campaign, mailing))


@bp.get("/campaigns/<int:campaign_id>/certificate.json")
@bp.get("/campaigns/<int:campaign_id>/again/<int:mailing_id>/certificate.json")
@allow("marketer", "dpo")
def certificate_as_json(campaign_id: int, mailing_id: int | None = None) -> Response:
    """Give the certificate as JSON, in the names of the contract."""
    response = jsonify(certificates.as_json(_found(campaign_id, mailing_id)))
    return _named(response, campaign_id, mailing_id, "json")


@bp.get("/campaigns/<int:campaign_id>/certificate.csv")
@bp.get("/campaigns/<int:campaign_id>/again/<int:mailing_id>/certificate.csv")
@allow("marketer", "dpo")
def certificate_as_csv(campaign_id: int, mailing_id: int | None = None) -> Response:
    """Give the certificate as a table for spreadsheets."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["state", "reason", _("in words"), _("letters")])
    for state, reason, letters in certificates.lines(_found(campaign_id, mailing_id)):
        table.writerow([state, reason or "", _in_words(state, reason), letters])
    response = Response(_BOM + out.getvalue(), mimetype="text/csv")
    return _named(response, campaign_id, mailing_id, "csv")


def _found(campaign_id: int, mailing_id: int | None) -> Certificate:
    campaign = service.find(session(), campaign_id)
    mailing = service.mailing_of(session(), campaign, mailing_id)
    found = certificate_of(campaign, mailing)
    if found is None:
        raise NotFound(f"certificate of mailing {mailing.id}")
    return found


def _in_words(state: str, reason: Reason | None) -> str:
    if reason is not None:
        return words.REASONS[reason]
    return _("Planned") if state == "planned" else words.DELIVERY[DeliveryState(state)][0]


def _named(response: Response, campaign_id: int, mailing_id: int | None, kind: str) -> Response:
    name = "-".join(str(part) for part in (campaign_id, mailing_id) if part)
    response.headers["Content-Disposition"] = (
        f'attachment; filename="campaign-{name}-certificate.{kind}"'
    )
    return response
