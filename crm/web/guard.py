"""The door: before any view, ask whether this request may reach it. Closed by default."""

from urllib.parse import urlencode

from flask import Flask, current_app, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.exceptions import Forbidden, Unauthorized

from crm.web import access
from crm.web.htmx import is_htmx, wants_json
from crm.web.identity import signed_in

SIGN_IN = "security.login"


def init(app: Flask) -> None:
    """Put the guard before every view of ``app``."""
    app.before_request(stand_guard)


def stand_guard() -> ResponseReturnValue | None:
    """Let the request pass, send a stranger to the sign-in, or refuse.

    Raises:
        Unauthorized: a stranger asked in a way that a redirect would not help (POST, htmx, JSON).
        Forbidden: a signed-in person whose role the view does not name.

    """
    endpoint = request.endpoint
    if endpoint is None or access.public(endpoint):
        return None
    if not signed_in():
        return _turn_away()
    if not access.may(endpoint):
        raise Forbidden(_("Your role does not allow this."))
    return None


def _turn_away() -> ResponseReturnValue:
    plain_page = request.method in {"GET", "HEAD"} and not (is_htmx() or wants_json())
    if plain_page and SIGN_IN in current_app.view_functions:
        return redirect(sign_in_url())
    raise Unauthorized(_("Please sign in first."))


def sign_in_url() -> str:
    """Return the way to the sign-in that comes back to the page asked for."""
    way = current_app.url_for(SIGN_IN)
    here = request.full_path.rstrip("?")
    return way if here == "/" else f"{way}?{urlencode({'next': here})}"
