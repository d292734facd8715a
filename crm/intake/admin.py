"""Site forms for the administrator; the marketer may look and copy the snippet."""

from http import HTTPStatus

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user

from crm import clock
from crm.current import settings
from crm.db import session
from crm.intake import site_forms
from crm.intake.admin_forms import KINDS, NewSiteForm, ShapeForm, filled
from crm.intake.models import Form
from crm.intake.views import bp
from crm.web.access import allow
from crm.web.htmx import toast

__all__ = ["bp"]

ID = "int(max=2147483647)"


@bp.get("/forms")
@allow("admin", "marketer")
def forms() -> str:
    """Show all forms of the site."""
    return render_template(
        "intake/admin_forms.html", forms=site_forms.all_forms(session()), kinds=KINDS
    )


@bp.route("/forms/new", methods=["GET", "POST"])
@allow("admin")
def new_form() -> ResponseReturnValue:
    """Make a form."""
    typed = NewSiteForm(data={"active": True, "text_keys": ["processing"]})
    if not typed.validate_on_submit():
        return _page("intake/admin_new.html", typed)
    try:
        made = site_forms.create(
            session(), typed.key.data or "", typed.shape, at=clock.now(), by=current_user.id
        )
    except site_forms.KeyTaken as fault:
        typed.key.errors = [_(fault.say)]
        return _page("intake/admin_new.html", typed)
    session().commit()
    toast(_("The form is there."))
    return _to(made)


@bp.get(f"/forms/<{ID}:form_id>")
@allow("admin", "marketer")
def form(form_id: int) -> str:
    """Show a form and what to put into the site's page."""
    return _show(site_forms.find_form(session(), form_id))


@bp.route(f"/forms/<{ID}:form_id>/edit", methods=["GET", "POST"])
@allow("admin")
def edit_form(form_id: int) -> ResponseReturnValue:
    """Change a form."""
    found = site_forms.find_form(session(), form_id)
    typed = ShapeForm(data=filled(found))
    if not typed.validate_on_submit():
        return _page("intake/admin_edit.html", typed, of=found)
    site_forms.change(session(), found, typed.shape, at=clock.now(), by=current_user.id)
    session().commit()
    toast(_("The form is saved."))
    return _to(found)


@bp.post(f"/forms/<{ID}:form_id>/token")
@allow("admin")
def make_token(form_id: int) -> ResponseReturnValue:
    """Make an API token and tell it, this once."""
    found = site_forms.find_form(session(), form_id)
    token = site_forms.make_token(session(), found, at=clock.now(), by=current_user.id)
    session().commit()
    return _show(found, token), HTTPStatus.CREATED


@bp.post(f"/forms/<{ID}:form_id>/token/remove")
@allow("admin")
def remove_token(form_id: int) -> ResponseReturnValue:
    """Take the API token back."""
    found = site_forms.find_form(session(), form_id)
    site_forms.remove_token(session(), found, at=clock.now(), by=current_user.id)
    session().commit()
    toast(_("The token works no more."))
    return _to(found)


def _show(found: Form, token: str = "") -> str:
    address = f"{settings().public_url}/f/{found.key}"
    return render_template(
        "intake/admin_form.html", form=found, address=address, token=token, kinds=KINDS
    )


def _page(template: str, typed: ShapeForm, **shown: Form) -> ResponseReturnValue:
    return render_template(template, form=typed, **shown), 422 if typed.errors else 200


def _to(found: Form) -> ResponseReturnValue:
    return redirect(url_for("intake.form", form_id=found.id), HTTPStatus.SEE_OTHER)
