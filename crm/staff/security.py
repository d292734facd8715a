"""Sign-in: Flask-Security-Too, narrowed to what a clinic needs.

Its accounts, hashes and sessions are used; its pages, its JSON, its tokens and its commands are
not there at all. The pages are ours, in ``signin``.
"""

from typing import Any

from flask import Flask
from flask_security import Security, SQLAlchemySessionUserDatastore

from crm.config import Settings
from crm.db import db
from crm.staff.models import Role, Staff
from crm.staff.rules import SHORTEST
from crm.staff.signin import bp
from crm.staff.throttle import KEY, Throttle


def init(app: Flask, settings: Settings) -> None:
    """Give ``app`` its sign-in."""
    app.config.update(
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106 - the name of the algorithm
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        SECURITY_PASSWORD_SINGLE_HASH=["argon2"],
        SECURITY_PASSWORD_SALT=settings.secret_keys[-1],
        SECURITY_PASSWORD_LENGTH_MIN=SHORTEST,
        SECURITY_REGISTERABLE=False,
        SECURITY_RECOVERABLE=False,
        SECURITY_SEND_REGISTER_EMAIL=False,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_CSRF_IGNORE_UNAUTH_ENDPOINTS=False,
        SECURITY_CLI_USERS_NAME=None,
        SECURITY_CLI_ROLES_NAME=None,
    )
    datastore = SQLAlchemySessionUserDatastore(db.session, Staff, Role)
    security = Security(app, datastore, register_blueprint=False)
    # Only the session's cookie says who somebody is, never a token in a header.
    security.login_manager.request_loader(_nobody)
    app.register_blueprint(bp)
    app.extensions[KEY] = Throttle(
        app.config["RATELIMIT_STORAGE_URI"], app.config.get("RATELIMIT_STORAGE_OPTIONS", {})
    )


def _nobody(_request: Any) -> None:
    return None
