"""The clinic's details on a page."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user

from crm import clock
from crm.clinic import service
from crm.clinic.forms import ClinicForm
from crm.db import session
from crm.web.access import allow
from crm.web.htmx import toast

bp = Blueprint("clinic", __name__)


@bp.route("/clinic", methods=["GET", "POST"])
@allow("admin", "dpo")
def settings() -> ResponseReturnValue:
    """Show and change the clinic's details."""
    clinic = service.details(session())
    form = ClinicForm(obj=clinic)
    if not form.validate_on_submit():
        lacking = service.missing(clinic)
        page = render_template("clinic/settings.html", form=form, missing=lacking)
        return page, 422 if form.errors else 200
    wanted = {field.name: field.data for field in form if field.name != "csrf_token"}
    changed = service.change(session(), wanted, at=clock.now(), by=current_user.id)
    session().commit()
    toast(_("The details are saved.") if changed else _("Nothing was different."))
    return redirect(url_for("clinic.settings"), HTTPStatus.SEE_OTHER)
