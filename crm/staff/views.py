"""Accounts, for the administrator; and what anybody may set for themselves."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from crm import clock
from crm.db import session
from crm.errors import CrmError, Invalid, later
from crm.staff import service
from crm.staff.forms import AccountForm, NewAccountForm
from crm.staff.models import Staff
from crm.staff.rules import own_path
from crm.staff.signin import leave, me
from crm.web.access import allow
from crm.web.htmx import toast
from crm.web.identity import ROLES
from crm.web.locale import LANGUAGES
from crm.web.look import THEMES

bp = Blueprint("staff", __name__)
ID = "int(max=2147483647)"


@bp.get("/staff")
@allow("admin")
def index() -> str:
    """Show all accounts."""
    return render_template("staff/index.html", everybody=service.everybody(session()))


@bp.route("/staff/new", methods=["GET", "POST"])
@allow("admin")
def new() -> ResponseReturnValue:
    """Add an account and tell its first password, this once."""
    form = NewAccountForm()
    if not form.validate_on_submit():
        return _page("staff/new.html", form)
    password = service.first_password()
    try:
        staff = service.add(
            session(),
            email=form.email.data or "",
            name=form.name.data or "",
            roles=form.chosen,
            password=password,
            at=clock.now(),
            by=me().id,
        )
    except service.Taken as fault:
        form.email.errors = [_(fault.say)]
        return _page("staff/new.html", form)
    session().commit()
    return _tell(staff, password, HTTPStatus.CREATED)


@bp.route(f"/staff/<{ID}:staff_id>", methods=["GET", "POST"])
@allow("admin")
def edit(staff_id: int) -> ResponseReturnValue:
    """Change the name and the roles of an account."""
    staff = service.find(session(), staff_id)
    form = AccountForm(data={"name": staff.name, "roles": [role.name for role in staff.roles]})
    if not form.validate_on_submit():
        return _page("staff/edit.html", form, staff=staff)
    at = clock.now()
    try:
        service.give_roles(session(), staff, form.chosen, at=at, by=me().id)
    except service.LastAdmin as fault:
        session().rollback()
        form.roles.errors = [_(fault.say)]
        return _page("staff/edit.html", form, staff=service.find(session(), staff_id))
    service.rename(session(), staff, form.name.data or "", at=at, by=me().id)
    session().commit()
    toast(_("The account is saved."))
    return redirect(url_for("staff.index"), HTTPStatus.SEE_OTHER)


@bp.post(f"/staff/<{ID}:staff_id>/deactivate")
@allow("admin")
def deactivate(staff_id: int) -> ResponseReturnValue:
    """Shut an account."""
    return _act(staff_id, service.deactivate, _("The account is shut and signed out everywhere."))


@bp.post(f"/staff/<{ID}:staff_id>/reactivate")
@allow("admin")
def reactivate(staff_id: int) -> ResponseReturnValue:
    """Open a shut account again."""
    return _act(staff_id, service.reactivate, _("The account is open again."))


@bp.post(f"/staff/<{ID}:staff_id>/sign-out")
@allow("admin")
def sign_out(staff_id: int) -> ResponseReturnValue:
    """End all sessions of an account."""
    return _act(staff_id, service.sign_out_everywhere, _("All sessions of the account have ended."))


@bp.post(f"/staff/<{ID}:staff_id>/password")
@allow("admin")
def reset_password(staff_id: int) -> ResponseReturnValue:
    """Give an account a new password and tell it, this once."""
    staff, password = service.find(session(), staff_id), service.first_password()
    service.set_password(session(), staff, password, at=clock.now(), by=me().id)
    session().commit()
    return _tell(staff, password, HTTPStatus.OK)


@bp.get("/me", endpoint="me")
@allow(*ROLES)
def show_me() -> str:
    """Show what a person may set for themselves."""
    return render_template("staff/me.html", me=me(), languages=LANGUAGES)


@bp.post("/me/appearance")
@allow(*ROLES)
def appearance() -> ResponseReturnValue:
    """Set one's own theme or language, and go back to where the button stood."""
    wished = {name: request.form[name] for name in ("theme", "lang") if name in request.form}
    possible = {"theme": THEMES, "lang": tuple(LANGUAGES)}
    if not wished or any(value not in possible[name] for name, value in wished.items()):
        raise Invalid(say=later("There is no such theme or language."))
    for name, value in wished.items():
        setattr(me(), name, value)
    session().commit()
    onward = own_path(request.form.get("next", "")) or url_for("staff.me")
    return redirect(onward, HTTPStatus.SEE_OTHER)


@bp.post("/me/sign-out-everywhere")
@allow(*ROLES)
def sign_me_out() -> ResponseReturnValue:
    """End all of one's own sessions, this one too."""
    service.sign_out_everywhere(session(), me(), at=clock.now(), by=me().id)
    session().commit()
    leave()
    toast(_("All your sessions have ended."))
    return redirect(url_for("security.login"), HTTPStatus.SEE_OTHER)


def _act(staff_id: int, act: Callable[..., None], done: str) -> ResponseReturnValue:
    staff = service.find(session(), staff_id)
    try:
        act(session(), staff, at=clock.now(), by=me().id)
    except CrmError:
        session().rollback()
        raise
    session().commit()
    toast(done)
    return redirect(url_for("staff.index"), HTTPStatus.SEE_OTHER)


def _tell(staff: Staff, password: str, status: HTTPStatus) -> ResponseReturnValue:
    return render_template("staff/password.html", staff=staff, password=password), status


def _page(template: str, form: AccountForm, **shown: Staff) -> ResponseReturnValue:
    return render_template(template, form=form, **shown), 422 if form.errors else 200
