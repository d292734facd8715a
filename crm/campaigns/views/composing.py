"""Writing the letter: the editor's page, its saves as JSON, and the preview."""

from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from crm import clock
from crm.campaigns import drafts, letter, pictures, words
from crm.campaigns.drafts import Stale, Typed
from crm.campaigns.forms import LinesForm
from crm.campaigns.letter import Notice
from crm.campaigns.models import Campaign
from crm.campaigns.views.blueprint import bp, draft_or_launched, me
from crm.clinic.service import details
from crm.current import settings
from crm.db import session
from crm.errors import Invalid, later
from crm.letters.blocks import MOST_BLOCKS, DocumentFault
from crm.letters.compiled import CompiledLetter
from crm.web import headers, htmx
from crm.web.access import allow

_NOT_AN_OBJECT = later("A letter is sent as a JSON object with name, subject, document, revision.")
_BAD_REVISION = later("The number of the revision is missing. Reload the page.")


@bp.get("/campaigns/<int:campaign_id>/compose")
@allow("marketer")
def compose(campaign_id: int) -> ResponseReturnValue:
    """Show the editor; a campaign that was launched has none."""
    campaign, mailing = draft_or_launched(campaign_id)
    if mailing is not None:
        return redirect(url_for("campaigns.show", campaign_id=campaign_id))
    return _editor(campaign, LinesForm(obj=campaign))


@bp.post("/campaigns/<int:campaign_id>/lines")
@allow("marketer")
def save_lines(campaign_id: int) -> ResponseReturnValue:
    """Save name, subject and preheader from a page whose scripts do not run."""
    campaign, _mailing = draft_or_launched(campaign_id)
    form = LinesForm()
    preheader = request.form.get("preheader", "")
    if not form.validate():
        return _editor(campaign, form, preheader=preheader), 422
    typed = Typed(
        name=form.name.data,
        subject=form.subject.data,
        document={**campaign.document, "preheader": preheader},
    )
    try:
        drafts.save(
            session(),
            campaign_id,
            typed,
            revision=_revision(request.form.get("revision", type=int)),
            staff_id=me().id,
            at=clock.now(),
        )
    except DocumentFault as fault:
        session().rollback()
        return _editor(campaign, form, preheader=preheader, faults=_said(fault)), 422
    session().commit()
    htmx.toast(_("Saved"))
    return redirect(url_for("campaigns.compose", campaign_id=campaign_id))


@bp.post("/campaigns/<int:campaign_id>/letter")
@allow("marketer")
def save(campaign_id: int) -> ResponseReturnValue:
    """Save the whole draft. 422 names each place; 409 says that somebody else saved."""
    sent = _json_object()
    typed = Typed(name=sent.get("name"), subject=sent.get("subject"), document=sent.get("document"))
    try:
        campaign = drafts.save(
            session(),
            campaign_id,
            typed,
            revision=_revision(sent.get("revision")),
            staff_id=me().id,
            at=clock.now(),
        )
    except DocumentFault as fault:
        session().rollback()
        return jsonify(status="invalid", error=_(fault.say), faults=_said(fault)), 422
    except Stale as stale:
        session().rollback()
        return jsonify(status="conflict", error=_(stale.say), revision=stale.revision), 409
    session().commit()
    return jsonify(status="saved", revision=campaign.revision, notices=_notices(campaign))


@bp.get("/campaigns/<int:campaign_id>/preview")
@allow("marketer", "dpo")
def preview(campaign_id: int) -> Response:
    """Show the letter as an invented person would get it: ``?person=&part=text&look=dark``."""
    campaign, mailing = draft_or_launched(campaign_id)
    headers.show_letter()
    person = request.args.get("person", 0, type=int)
    shown: dict[str, Any] = {
        "part": "text" if request.args.get("part") == "text" else "html",
        "dark": request.args.get("look") == "dark",
    }
    try:
        clinic = details(session())
        compiled = (
            CompiledLetter.from_json(mailing.letter)
            if mailing
            else letter.compiled(campaign, clinic, settings())
        )
        values = letter.sample_values(person, zone=ZoneInfo(clinic.zone), at=clock.now())
        shown |= {"letter": letter.printed(compiled, values, settings()), "faults": []}
    except DocumentFault as fault:
        shown |= {"letter": None, "faults": _said(fault)}
    return Response(render_template("campaigns/letter.html", **shown))


def _editor(
    campaign: Campaign,
    form: LinesForm,
    *,
    preheader: str | None = None,
    faults: list[dict[str, str]] | None = None,
) -> str:
    return render_template(
        "campaigns/compose.html",
        campaign=campaign,
        form=form,
        preheader=campaign.document.get("preheader", "") if preheader is None else preheader,
        faults=faults or [],
        notices=_notices(campaign),
        blocks=words.BLOCKS,
        presets=letter.PRESETS,
        picture_choices=[
            {"src": one.src, "name": _(one.name), "alt": one.alt} for one in pictures.PICTURES
        ],
        merge_fields=letter.MERGE_FIELDS,
        people=letter.PEOPLE,
        most_blocks=MOST_BLOCKS,
        site_url=_site_url(),
    )


def _site_url() -> str:
    url = details(session()).site_url
    return url if url.startswith("https://") else "https://"


def _json_object() -> dict[str, Any]:
    if not request.is_json:
        raise UnsupportedMediaType
    try:
        sent = request.get_json()
    except RecursionError:
        raise BadRequest from None
    if not isinstance(sent, dict):
        raise Invalid(say=_NOT_AN_OBJECT)
    return sent


def _revision(sent: object) -> int:
    if not isinstance(sent, int) or isinstance(sent, bool):
        raise Invalid(say=_BAD_REVISION)
    return sent


def _said(fault: DocumentFault) -> list[dict[str, str]]:
    return [{"path": one.path, "say": _(one.say, **one.values)} for one in fault.faults]


def _notices(campaign: Campaign) -> list[dict[str, str]]:
    found = letter.notices(campaign, details(session()), settings())
    # What a new block says is no remark while it is being written; the check page finds it.
    return [_shown(one) for one in found if one.say != letter.PRESET_LEFT]


def _shown(one: Notice) -> dict[str, str]:
    return {
        "path": one.path,
        "say": _(one.say, **one.values),
        "severity": one.severity.value,
        "law": one.law,
    }
