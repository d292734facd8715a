"""How fast letters go to each mail provider, on a page; what is at rest, and ending a rest."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_security import current_user
from wtforms import BooleanField
from wtforms.validators import StopValidation
from wtforms.widgets import NumberInput

from crm import clock
from crm.clinic.forms import Number
from crm.clinic.service import details
from crm.db import session
from crm.delivery import providers, rest
from crm.delivery.rules import SENDERS
from crm.web.access import allow
from crm.web.htmx import toast
from crm.web.reading import Form, Read, whole

bp = Blueprint("paces", __name__)

FASTEST = 1_000_000
MOST_CONNECTIONS = 100


class PaceForm(Form):
    """One provider's part of the page's form; the page has one token for all of them."""

    target_per_hour = Number(
        _l("Letters an hour, at most"),
        [Read(whole(0, FASTEST))],
        description=_l("0: no limit of its own."),
        widget=NumberInput(min=0, max=FASTEST),
    )
    connections = Number(
        _l("Connections at once, at most"),
        [Read(whole(0, MOST_CONNECTIONS))],
        description=_l("Two to five are usual for a big provider; 0: as many as the relay takes."),
        widget=NumberInput(min=0, max=MOST_CONNECTIONS),
    )
    warm_up = BooleanField(
        _l("Warm up"),
        description=_l(
            "Begin with 200 letters an hour and double every day, while few are put off and "
            "nobody complains, until the limit is reached."
        ),
    )

    def validate_connections(self, field: Number) -> None:
        """Refuse fewer than there are senders, of whom each keeps one."""
        if field.data and field.data < SENDERS:
            raise StopValidation(
                _("Each sender keeps one: give at least 2, or 0 for as many as the relay takes.")
            )

    def validate_warm_up(self, field: BooleanField) -> None:
        """Refuse a warm-up without an end."""
        if field.data and self.target_per_hour.data == 0:
            raise StopValidation(_("A warm-up needs a limit that it grows up to."))

    @property
    def wish(self) -> providers.Wish:
        return providers.Wish(
            target_per_hour=self.target_per_hour.data,
            connections=self.connections.data,
            warm_up=self.warm_up.data,
        )


@bp.route("/paces", methods=["GET", "POST"])
@allow("admin", "marketer")
def index() -> ResponseReturnValue:
    """Show and change the providers' paces."""
    at = clock.now()
    known = {one.name: one for one in providers.manners(session())}
    forms = {
        name: PaceForm(prefix=f"{name}-", obj=one, meta={"csrf": False})
        for name, one in known.items()
    }
    is_posted = request.method == "POST"
    if not is_posted or False in [form.validate() for form in forms.values()]:
        page = render_template(
            "desk/paces.html",
            manners=known,
            forms=forms,
            names=providers.NAMES,
            faults=[pair for form in forms.values() for pair in _faults(form)],
            resting=rest.resting(session(), at=at),
            where=_where,
            per_minute=details(session()).letters_per_minute,
        )
        return page, HTTPStatus.UNPROCESSABLE_ENTITY if is_posted else HTTPStatus.OK
    changed = [
        providers.change(session(), name, form.wish, at=at, by=current_user.id)
        for name, form in forms.items()
    ]
    session().commit()
    toast(_("The paces are saved.") if any(changed) else _("Nothing was different."))
    return redirect(url_for("paces.index"), HTTPStatus.SEE_OTHER)


@bp.post("/paces/lift")
@allow("admin", "marketer")
def lift() -> ResponseReturnValue:
    """End a rest: letters go there again at once, and the next refusal begins with 15 minutes."""
    wanted = request.form.get("destination", "")
    lifted = rest.lift(session(), wanted, at=clock.now(), by=current_user.id)
    session().commit()
    toast(_("Letters go there again.") if lifted else _("That pause has ended already."))
    return redirect(url_for("paces.index"), HTTPStatus.SEE_OTHER)


def _faults(form: PaceForm) -> list[tuple[str, str]]:
    return [(field.id, " ".join(field.errors)) for field in form if field.errors]


def _where(destination: str) -> str:
    kind, _colon, name = destination.partition(":")
    if kind == "provider":
        return str(_(providers.NAMES[name]))
    return name if kind == "domain" else str(_("Mail relay: all campaigns"))
