"""Who this installation is, whether it may send, and its release."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user

from crm import clock
from crm.current import settings
from crm.db import session
from crm.installation.forms import ReleaseForm
from crm.installation.release import release as let_go
from crm.installation.replay import replay
from crm.safekeeping import journal, stops
from crm.safekeeping.installation import verdict
from crm.safekeeping.models import Installation
from crm.web.access import allow
from crm.web.htmx import toast

bp = Blueprint("installation", __name__)


@bp.get("/installation")
@allow("admin", "dpo")
def show() -> ResponseReturnValue:
    """Show what is known of this installation."""
    return _page(ReleaseForm())


@bp.post("/installation/release")
@allow("admin", "dpo")
def release() -> ResponseReturnValue:
    """Do again what the journal remembers, and let this copy send."""
    form = ReleaseForm()
    if not form.validate_on_submit():
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    done = replay(session(), settings())
    at = clock.now()
    let_go(session(), settings(), done, by=current_user.id, because=form.because.data or "", at=at)
    session().commit()
    toast(
        _(
            "Released. Refusals done again: %(stops)s; mailings held: %(mailings)s.",
            stops=done.stops,
            mailings=len(done.letters),
        )
    )
    return redirect(url_for("installation.show"), HTTPStatus.SEE_OTHER)


def _page(form: ReleaseForm) -> str:
    return render_template(
        "installation/show.html",
        form=form,
        hold=verdict(session(), settings(), at=clock.now()),
        installation=session().get(Installation, 1),
        trouble=journal.of(settings()).trouble(),
        waiting=stops.waiting(session()),
    )
