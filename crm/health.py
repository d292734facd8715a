"""What the monitoring asks: alive, able to serve, and in figures how sending is."""

import hmac
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from crm import clock, migrations
from crm.config import LOOPBACK, Settings
from crm.current import settings
from crm.db import session
from crm.errors import Forbidden
from crm.operations.exposition import CONTENT_TYPE, written
from crm.operations.look import look
from crm.operations.metrics import metrics as told

bp = Blueprint("health", __name__)
BROKER_TIMEOUT_S = 1.0
FORWARDED: Final = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
)
"""A request with one of these has come through a proxy, whatever it says there."""


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer that this process lives; touches nothing else."""
    return {"status": "alive"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer whether database, schema and broker let us serve: 200, or 503 with what is away."""
    state = {"database": _database(), "broker": _broker()}
    return {"status": state}, 200 if set(state.values()) == {"ready"} else 503


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Tell Prometheus how sending is: whoever has the token, or asks on this machine itself."""
    if not (_has_the_token(settings()) or _is_on_this_machine()):
        raise Forbidden
    try:
        body = written(told(look(session(), settings(), at=clock.now())))
    except SQLAlchemyError:
        return Response("# the database is away\n", 503, content_type=CONTENT_TYPE)
    return Response(body, content_type=CONTENT_TYPE)


def _has_the_token(settings: Settings) -> bool:
    scheme, _blank, given = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.metrics_token
    is_it = hmac.compare_digest(given.strip().encode(), wanted.encode())
    return bool(wanted) and scheme.lower() == "bearer" and is_it


def _is_on_this_machine() -> bool:
    """Return whether a program here asked us without a proxy in between.

    Not by the address that a proxy tells, which may be anybody's invention, but by the connection's
    own; and as a proxy on this machine connects from loopback as well, by everything that betrays
    one: a header that proxies add, or the public name in ``Host``.
    """
    before = request.environ.get("werkzeug.proxy_fix.orig", {})
    if any(name in request.headers for name in FORWARDED):
        return False
    return _names_this_machine(before.get("HTTP_HOST") or "") and _is_loopback(
        before.get("REMOTE_ADDR") or ""
    )


def _names_this_machine(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _database() -> str:
    try:
        return "old schema" if migrations.pending(session().connection()) else "ready"
    except SQLAlchemyError:
        return "away"


def _broker() -> str:
    limits = {"socket_timeout": BROKER_TIMEOUT_S, "socket_connect_timeout": BROKER_TIMEOUT_S}
    try:
        with Redis.from_url(settings().redis_url, **limits) as broker:
            return "ready" if broker.ping() else "away"
    except RedisError:
        return "away"
