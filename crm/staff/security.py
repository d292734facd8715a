"""Sign-in: Flask-Security-Too, narrowed to what a clinic needs."""

from flask import Flask
from flask_security import Security, SQLAlchemySessionUserDatastore

from crm.config import Settings
from crm.db import db
from crm.staff.models import Role, Staff


def init(app: Flask, settings: Settings) -> None:
    """Give ``app`` its sign-in."""
    app.config.update(
        SECURITY_PASSWORD_HASH="argon2",
        SECURITY_PASSWORD_SINGLE_HASH=["argon2"],
        SECURITY_PASSWORD_SALT=settings.secret_keys[-1],
        SECURITY_REGISTERABLE=False,
        SECURITY_SEND_REGISTER_EMAIL=False,
        SECURITY_POST_LOGIN_VIEW="/",
        SECURITY_POST_LOGOUT_VIEW="/login",
        SECURITY_CSRF_IGNORE_UNAUTH_ENDPOINTS=False,
    )
    datastore = SQLAlchemySessionUserDatastore(db.session, Staff, Role)
    app.extensions["crm.security"] = Security(app, datastore)
