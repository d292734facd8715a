"""Policy and consent texts: the archive, and a new version by way of a preview."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user

from crm import clock
from crm.consent import archive
from crm.consent.forms import ASKS, NAMES, TextForm
from crm.consent.kinds import KINDS
from crm.consent.texts import digest
from crm.db import session
from crm.errors import Invalid, WrongState
from crm.web.access import allow
from crm.web.htmx import toast

bp = Blueprint("consent", __name__)


@bp.app_template_filter()
def text_name(key: str) -> str:
    """Return what a text is called; an unknown key as it is."""
    return str(NAMES.get(key, key))


@bp.get("/consent/texts")
@allow("dpo", "admin")
def texts() -> str:
    """Show every text in every language."""
    return render_template("consent/texts.html", rows=archive.shelf(session()), asks=ASKS)


@bp.get("/consent/texts/<key>/<lang>")
@allow("dpo", "admin")
def versions(key: str, lang: str) -> str:
    """Show all versions of one text."""
    row = archive.row(session(), key, lang)
    return render_template("consent/versions.html", row=row, asks=ASKS[key])


@bp.route("/consent/texts/<key>/<lang>/new", methods=["GET", "POST"])
@allow("dpo")
def publish_text(key: str, lang: str) -> ResponseReturnValue:
    """Write a new version, look at it, publish it."""
    row = archive.row(session(), key, lang)
    form = TextForm(has_box=KINDS[key].purpose is not None, obj=row.current)
    if request.method == "GET":
        form.after.data = str(row.versions[0].version if row.versions else 0)
        return _writing(form, row)
    if not form.validate() or request.form.get("step") == "edit":
        return _writing(form, row)
    try:
        archive.check(row, form.wording)
    except Invalid as fault:
        form.form_errors.append(_(fault.say))
        return _writing(form, row)
    if request.form.get("step") != "publish":
        return _preview(form, row)
    return _publish(form, row)


def _publish(form: TextForm, row: archive.Row) -> ResponseReturnValue:
    try:
        made = archive.put_in_force(
            session(), row, form.wording, after=form.seen, at=clock.now(), by=current_user.id
        )
    except WrongState as refusal:
        session().rollback()
        form.form_errors.append(_(refusal.say))
        return _writing(form, row, HTTPStatus.CONFLICT)
    session().commit()
    toast(_("Version %(number)s is in force.", number=made.version))
    return redirect(url_for("consent.versions", key=row.key, lang=row.lang), HTTPStatus.SEE_OTHER)


def _writing(
    form: TextForm, row: archive.Row, status: HTTPStatus | None = None
) -> ResponseReturnValue:
    refused = bool(form.errors or form.form_errors)
    page = render_template("consent/writing.html", form=form, row=row, asks=ASKS[row.key])
    return page, status or (422 if refused else 200)


def _preview(form: TextForm, row: archive.Row) -> ResponseReturnValue:
    said = form.wording
    return render_template(
        "consent/preview.html",
        form=form,
        row=row,
        wording=said,
        number=(row.versions[0].version if row.versions else 0) + 1,
        sha256=digest(said.label, said.title, said.body),
    )
