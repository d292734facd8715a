"""The way in and out: sign-in, sign-out, a new password.

The blueprint bears Flask-Security's name, whose pages these stand for.
"""

from http import HTTPStatus
from typing import cast

import flask
from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user, login_user, logout_user

from crm import clock
from crm.audit.service import note
from crm.current import settings
from crm.db import session
from crm.errors import Invalid
from crm.staff import entering, service
from crm.staff.forms import PasswordForm, SignInForm
from crm.staff.models import Staff
from crm.staff.rules import own_path
from crm.staff.throttle import KEY, Throttle
from crm.web.htmx import toast
from crm.web.identity import signed_in
from crm.web.limits import sender

bp = Blueprint("security", __name__)


def me() -> Staff:
    """Return who is signed in; for views that only staff reach."""
    return cast("Staff", current_user._get_current_object())


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Let a member of staff in. One answer to everything that may be wrong."""
    if signed_in():
        return redirect(_onward(), HTTPStatus.SEE_OTHER)
    form = SignInForm()
    if request.method == "GET":
        return render_template("security/login_user.html", form=form, said="")
    name = entering.account(form.email.data or "")
    token = entering.token(name, keys=settings().secret_keys)
    if not _throttle().lets_try(token, sender()):
        return _refuse_entry(form, _too_often(), HTTPStatus.TOO_MANY_REQUESTS)
    staff = entering.known(session(), name)
    is_open = entering.opens(staff, form.password.data or "")
    if staff is None or not is_open:
        return _wrong(form, staff, token)
    return _enter(staff, token)


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """End this session."""
    staff_id = me().id
    _note("signed_out", staff_id)
    session().commit()
    leave()
    toast(_("You have signed out."))
    return redirect(url_for("security.login"), HTTPStatus.SEE_OTHER)


@bp.route("/me/password", methods=["GET", "POST"])
def change_password() -> ResponseReturnValue:
    """Change one's own password, which ends one's other sessions."""
    form = PasswordForm()
    if not form.validate_on_submit():
        return _password_page(form, 422 if form.errors else 200)
    staff = me()
    token = entering.token(staff.email, keys=settings().secret_keys)
    if not _throttle().lets_try(token, sender()):
        form.current_password.errors = [_too_often()]
        return _password_page(form, HTTPStatus.TOO_MANY_REQUESTS)
    if not entering.opens(staff, form.current_password.data or ""):
        _throttle().wrong(sender())
        form.current_password.errors = [_("This is not your current password.")]
        return _password_page(form, 422)
    _throttle().forgive(token)
    try:
        service.set_password(
            session(), staff, form.new_password.data or "", at=clock.now(), by=staff.id
        )
    except Invalid as fault:
        form.new_password.errors = [_(fault.say)]
        return _password_page(form, 422)
    session().commit()
    _begin(staff)
    toast(_("The password is changed. Your other sessions have ended."))
    return redirect(url_for("staff.me"), HTTPStatus.SEE_OTHER)


def leave() -> None:
    """End this session, and leave nothing of it in the cookie."""
    logout_user()
    flask.session.clear()


def _enter(staff: Staff, token: str) -> ResponseReturnValue:
    _throttle().forgive(token)
    _note("signed_in", staff.id)
    session().commit()
    _begin(staff)
    return redirect(_onward(), HTTPStatus.SEE_OTHER)


def _begin(staff: Staff) -> None:
    """Begin a session that has nothing of the one before: not even its CSRF token."""
    flask.session.clear()
    g.pop("csrf_token", None)
    login_user(staff, remember=False)


def _wrong(form: SignInForm, staff: Staff | None, token: str) -> ResponseReturnValue:
    _throttle().wrong(sender())
    unknown = {"account": token} if staff is None else {}
    note(
        session(),
        "staff.sign_in_failed",
        at=clock.now(),
        actor_id=None,
        subject="staff",
        subject_id=staff.id if staff else None,
        **unknown,
    )
    session().commit()
    said = _("The e-mail address or the password is wrong.")
    return _refuse_entry(form, said, HTTPStatus.UNPROCESSABLE_ENTITY)


def _refuse_entry(form: SignInForm, said: str, status: HTTPStatus) -> ResponseReturnValue:
    return render_template("security/login_user.html", form=form, said=said), status


def _password_page(form: PasswordForm, status: int) -> ResponseReturnValue:
    return render_template("security/change_password.html", form=form), status


def _too_often() -> str:
    return str(_("Too many wrong passwords. Wait 15 minutes and try again."))


def _onward() -> str:
    return own_path(request.args.get("next", "")) or "/"


def _throttle() -> Throttle:
    return cast("Throttle", current_app.extensions[KEY])


def _note(act: str, staff_id: int) -> None:
    note(
        session(),
        f"staff.{act}",
        at=clock.now(),
        actor_id=staff_id,
        subject="staff",
        subject_id=staff_id,
    )
