"""The list of campaigns, a new one, a copy; and the pictures that letters fetch."""

from operator import attrgetter

from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from crm import clock
from crm.campaigns import drafts, follow, pictures, service
from crm.campaigns.forms import LinesForm
from crm.campaigns.views.blueprint import bp, me
from crm.db import session
from crm.errors import NotFound
from crm.web import paging
from crm.web.access import allow

YEAR_S = 31_536_000


@bp.get("/campaigns")
@allow("marketer", "dpo")
def index() -> str:
    """Show campaigns, the newest first."""
    place = paging.place()
    rows = follow.listed(
        session(), after_id=place.after_id, before_id=place.before_id, limit=paging.LIMIT
    )
    page = paging.cut(rows, place, key=attrgetter("id"))
    return render_template("campaigns/index.html", page=page)


@bp.route("/campaigns/new", methods=["GET", "POST"])
@allow("marketer")
def new() -> ResponseReturnValue:
    """Begin a campaign."""
    form = LinesForm()
    if not form.validate_on_submit():
        return render_template("campaigns/new.html", form=form), 422 if form.errors else 200
    campaign = drafts.start(
        session(), form.name.data or "", form.subject.data or "", staff_id=me().id, at=clock.now()
    )
    session().commit()
    return redirect(url_for("campaigns.compose", campaign_id=campaign.id))


@bp.post("/campaigns/<int:campaign_id>/copy")
@allow("marketer")
def copy(campaign_id: int) -> ResponseReturnValue:
    """Make a draft with the same letter."""
    original = service.find(session(), campaign_id)
    campaign = drafts.copy(session(), original, mark=_("(copy)"), staff_id=me().id, at=clock.now())
    session().commit()
    return redirect(url_for("campaigns.compose", campaign_id=campaign.id))


@bp.get("/media/<key>.png")
def picture(key: str) -> Response:
    """Show a picture to whoever opens a letter: no cookie is looked at, nobody is counted."""
    content = pictures.content(key)
    if content is None:
        raise NotFound("picture")
    response = Response(content, mimetype="image/png")
    response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    return response
