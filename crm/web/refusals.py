"""Error pages: what happened and what to do, in the look of whoever asked."""

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, jsonify, make_response, render_template, request
from flask_babel import force_locale, gettext, lazy_gettext
from flask_wtf.csrf import CSRFError
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException

from crm.errors import CrmError
from crm.web.access import public
from crm.web.htmx import is_htmx, trigger, wants_json
from crm.web.identity import signed_in
from crm.web.locale import DEFAULT, said
from crm.web.typed import typed_values

log = logging.getLogger(__name__)

NAMES = {
    400: lazy_gettext("The request was not understood"),
    401: lazy_gettext("Please sign in"),
    403: lazy_gettext("This is not open to you"),
    404: lazy_gettext("There is no such page"),
    405: lazy_gettext("That cannot be done here"),
    409: lazy_gettext("That cannot be done now"),
    413: lazy_gettext("That is too large"),
    415: lazy_gettext("This kind of content is not accepted"),
    422: lazy_gettext("Please correct what was typed"),
    429: lazy_gettext("Too many requests"),
    500: lazy_gettext("Something went wrong on our side"),
    503: lazy_gettext("The service is not available right now"),
}
SENTENCES = {
    400: lazy_gettext("Go back, check what was typed and try again."),
    401: lazy_gettext("Sign in, and then repeat what you were doing."),
    403: lazy_gettext("Your role does not include this page. Ask the administrator if it should."),
    404: lazy_gettext("The address may be mistyped, or the page has been removed."),
    405: lazy_gettext("Open the page anew and use its buttons."),
    409: lazy_gettext("Reload the page and look again."),
    413: lazy_gettext("Send something smaller."),
    415: lazy_gettext("Send a form or JSON."),
    422: lazy_gettext("Go back, check what was typed and try again."),
    429: lazy_gettext("Wait a minute and try again."),
    500: lazy_gettext("The fault has been written down. Try again in a minute."),
    503: lazy_gettext("Try again in a minute."),
}
EXPIRED = lazy_gettext(
    "This page was open for too long, or you have signed out in another window. "
    "Nothing has been saved. Open the page anew and repeat."
)
SPOKEN_BY_VIEWS = frozenset({401, 403, 404, 409, 422})
RETRY_AFTER_S = "60"
LAST_RESORT = "<!doctype html><title>500</title><h1>500</h1><p>Попробуйте ещё раз через минуту.</p>"


def init(app: Flask) -> None:
    """Answer every refusal and fault of ``app`` with a page, a fragment or JSON."""
    app.register_error_handler(CrmError, refuse)
    app.register_error_handler(CSRFError, refuse_forgery)
    app.register_error_handler(HTTPException, explain)
    for away in (exc.OperationalError, exc.TimeoutError):
        app.register_error_handler(away, give_way)


def refuse(error: CrmError) -> Response:
    """Answer a deliberate refusal with its own status and sentence."""
    log.info("refused", extra={"refusal": type(error).__name__, "status": error.status})
    return answer(error.status, say=gettext(error.say))


def refuse_forgery(error: CSRFError) -> Response:
    """Say that the form is stale, and give back what was typed into it to copy from.

    It is not sent on with a fresh token: a forged request would then need only one click.
    """
    log.info("stale form", extra={"endpoint": request.endpoint})
    return answer(HTTPStatus.BAD_REQUEST, say=str(EXPIRED), typed=typed_values(request.form))


def explain(error: HTTPException) -> Response:
    """Answer what Flask or a view aborted with."""
    if error.response is not None or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return make_response(error.get_response())
    response = answer(error.code, say=_own_words(error))
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def give_way(error: exc.SQLAlchemyError) -> Response:
    """Answer that the database is away or too busy, and when to ask again."""
    fault = getattr(error, "orig", None) or error
    extra = {"fault": type(fault).__name__, "endpoint": request.endpoint}
    log.error("database away", extra=extra)
    response = answer(HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers["Retry-After"] = RETRY_AFTER_S
    return response


def answer(status: int, *, say: str = "", typed: list[tuple[str, str]] | None = None) -> Response:
    """Return the answer to a refused request in the form that its sender reads.

    From 500 on nobody asks who is signed in, not even for their language: that may have failed.
    """
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _answer(status, say=say, typed=typed)
    with force_locale(said() or DEFAULT):
        return _answer(status, say=say, typed=typed)


def _answer(status: int, *, say: str, typed: list[tuple[str, str]] | None) -> Response:
    say = say or str(SENTENCES.get(status, SENTENCES[500 if status >= 500 else 400]))
    if wants_json():
        response = jsonify(status="refused", error=say)
    elif is_htmx():
        response = make_response(say)
        response.mimetype = "text/plain"
        trigger(response, [{"kind": "danger", "text": say}])
    else:
        response = make_response(_page(status, say=say, typed=typed or []))
    response.status_code = status
    return response


def _own_words(error: HTTPException) -> str:
    """Return the sentence that a view gave to ``abort``, but never a library's stock English."""
    given = error.description
    ours = error.code in SPOKEN_BY_VIEWS and given != type(error).description
    return str(given) if given and ours else ""


def _page(status: int, **shown: Any) -> str:
    name = NAMES.get(status, NAMES[500 if status >= 500 else 400])
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _without_the_database(status, name=name, **shown)
    if _is_for_staff():
        back = _way_back()
        return render_template(
            "_layout/refusal_staff.html", status=status, name=name, back=back, **shown
        )
    return render_template("_layout/refusal.html", status=status, name=name, **shown)


def _way_back() -> str:
    """Return the page of ours that led here, if one did."""
    led_here = request.referrer or ""
    ours = led_here.startswith(request.host_url) and led_here != request.url
    return led_here if ours else ""


def _is_for_staff() -> bool:
    endpoint = request.endpoint
    return not (endpoint and public(endpoint)) and signed_in()


def _without_the_database(status: int, **shown: Any) -> str:
    """Render without context processors: they may ask who is signed in."""
    try:
        page = current_app.jinja_env.get_template("_layout/fault.html")
        return page.render(status=status, **shown)
    except Exception:
        log.exception("error page failed")
        return LAST_RESORT
