"""The one CSRF protection: on for every route with a session, off for the public list."""

from flask import Flask, current_app, request
from flask_wtf import CSRFProtect

from crm.web.public_list import STRANGERS

csrf = CSRFProtect()
"""``@csrf.exempt`` is hardly ever needed: routes for strangers are exempt by being listed."""


def init(app: Flask) -> None:
    """Check the token of every writing request of ``app``, except where no cookie counts."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # a form may be open all day: as long as the session
    csrf.init_app(app)
    app.before_request(check)


def check() -> None:
    """Refuse a writing request without a valid token.

    Raises:
        CSRFError: the token is absent, stale or someone else's.

    """
    if current_app.config["WTF_CSRF_ENABLED"] and request.endpoint not in STRANGERS:
        csrf.protect(apply_exemptions=True)
