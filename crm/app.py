"""Wiring: the only module that knows every part."""

from datetime import timedelta
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from crm import cli, health, web
from crm.appointments import lists
from crm.appointments.views import bp as appointments
from crm.campaigns.views import bp as campaigns
from crm.clinic.service import details
from crm.clinic.views import bp as clinic
from crm.config import Settings
from crm.consent.views import bp as consent
from crm.contacts.views import bp as contacts
from crm.db import ENGINE_OPTIONS, db, session
from crm.desk.journal import bp as audit
from crm.desk.paces import bp as paces
from crm.desk.views import bp as desk
from crm.installation.views import bp as installation
from crm.intake.admin import bp as intake
from crm.operations.alarm import Alarm
from crm.operations.views import bp as operations
from crm.operations.views import strip_of
from crm.privacy import holders
from crm.recipients.views import bp as recipients
from crm.relays.views import bp as relays
from crm.staff import security
from crm.staff.views import bp as staff
from crm.web import limits, nav, strip

ROOT = Path(__file__).parents[1]
MAX_BODY = 256 * 1024
"""Bytes of a request. Forms are text; nothing larger is asked for anywhere yet."""
MAX_FIELDS = 200
SESSION_LASTS = timedelta(hours=12)
BLUEPRINTS = (
    desk,
    contacts,
    recipients,
    campaigns,
    intake,
    appointments,
    consent,
    staff,
    clinic,
    relays,
    paces,
    audit,
    installation,
    operations,
    health.bp,
)


def create_app(settings: Settings) -> Flask:
    """Return a ready application. Nothing is read from the environment here."""
    app = Flask("crm", root_path=str(ROOT / "crm"), template_folder=str(ROOT / "templates"))
    app.config.update(
        SECRET_KEY=settings.secret_keys[0],
        SECRET_KEY_FALLBACKS=list(settings.secret_keys[1:]),
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=ENGINE_OPTIONS,
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        MAX_FORM_PARTS=MAX_FIELDS,
        PERMANENT_SESSION_LIFETIME=SESSION_LASTS,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure,
        TESTING=settings.testing,
        **limits.storage(settings.redis_url),
    )
    app.extensions["crm.settings"] = settings
    app.extensions["crm.holders"] = holders.HOLDERS
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    db.init_app(app)
    web.init(app, zone=lambda: details(session()).zone)
    security.init(app, settings)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    nav.count(app, "appointments.queue", lambda: lists.waiting(session()))
    strip.show(app, strip_of(Alarm()))
    cli.init(app)
    return app
