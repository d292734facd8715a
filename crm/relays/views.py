"""The mail relays on a page: which may be given letters, and declaring whose they are."""

from http import HTTPStatus
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_security import current_user
from sqlalchemy import select

from crm import clock
from crm.clinic.service import details
from crm.current import settings
from crm.db import session
from crm.relays import service, words
from crm.relays.absence import absences
from crm.relays.forms import DeclarationForm
from crm.relays.rules import RUSSIA, Bond, Refusal
from crm.staff.models import Staff
from crm.web.access import allow
from crm.web.htmx import toast

bp = Blueprint("relays", __name__)

REFUSAL = {
    Refusal.UNDECLARED: _l("Nobody has declared whose server this is."),
    Refusal.ABROAD: _l("The server stands outside Russia."),
    Refusal.NOT_A_PROCESSOR: _l("Its owner is neither the clinic nor bound by a contract."),
}
BOND = {
    Bond.OWN: _l("the clinic’s own server"),
    Bond.PROCESSOR: _l("a processor"),
    Bond.NONE: _l("not bound by a contract"),
}


@bp.app_template_filter()
def country(code: str) -> str:
    """Return the name of a country in the reader's language."""
    return str(get_locale().territories.get(code, code))


@bp.app_template_filter()
def reply(said: str) -> str:
    """Return a stored reply of a relay, which may be a sentence of ours, for the reader."""
    return words.of_a_reply(said)


@bp.get("/relays")
@allow("admin", "dpo")
def index() -> ResponseReturnValue:
    """Show the relays of SMTP_URL, the preferred first."""
    try:
        found = service.standings(session(), settings())
    except ValueError:
        found = []
    return render_template(
        "relays/index.html",
        relays=found,
        away=absences(session(), at=clock.now()),
        reason=words.in_words,
        refusal=REFUSAL,
        bond=BOND,
    )


@bp.route("/relays/<relay>", methods=["GET", "POST"])
@allow("admin", "dpo")
def declare(relay: str) -> ResponseReturnValue:
    """Declare whose a relay is, and show what was declared before."""
    standing = service.standing(session(), settings(), relay)
    clinic, at = details(session()), clock.now()
    today = at.astimezone(ZoneInfo(clinic.zone)).date()
    known = standing.declaration
    form = DeclarationForm(
        clinic=clinic.legal_name,
        today=today,
        obj=known,
        data=None if known else {"country": RUSSIA},
    )
    if not form.validate_on_submit():
        page = render_template(
            "relays/declare.html",
            form=form,
            standing=standing,
            history=service.history(session(), relay),
            staff={one.id: one.name for one in session().scalars(select(Staff))},
            refusal=REFUSAL,
            bond=BOND,
        )
        return page, HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    made = service.declare(session(), relay, form.declaring, at=at, by=current_user.id)
    session().commit()
    toast(_("The relay is declared.") if made else _("Nothing was different."))
    return redirect(url_for("relays.index"), HTTPStatus.SEE_OTHER)
