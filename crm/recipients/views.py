"""The pages behind the links of our letters."""

from flask import Blueprint, Response, make_response, render_template
from flask_babel import gettext
from sqlalchemy.exc import SQLAlchemyError

from crm.clinic.service import details
from crm.db import session
from crm.errors import InvalidToken
from crm.recipients.appointment import appointment
from crm.recipients.confirm import confirm
from crm.recipients.unsubscribe import unsubscribe
from crm.web import refusals
from crm.web.ending import roll_back

bp = Blueprint("recipients", __name__)
bp.add_url_rule("/u/<token>", view_func=unsubscribe, methods=["GET", "POST"])
bp.add_url_rule("/o/<token>", view_func=confirm, methods=["GET", "POST"])
bp.add_url_rule("/a/<token>", view_func=appointment, methods=["GET", "POST"])


@bp.errorhandler(InvalidToken)
def damaged(error: InvalidToken) -> Response:
    """Say that the link does nothing, and whom to turn to instead."""
    roll_back()
    say = gettext(error.say)
    try:
        clinic = details(session())
        page = render_template("recipients/damaged.html", clinic=clinic, say=say)
    except SQLAlchemyError:
        roll_back()
        return refusals.answer(error.status, say=say)
    return make_response(page, error.status)
