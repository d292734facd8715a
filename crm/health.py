"""What the monitoring asks: alive, and able to serve."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from crm import migrations
from crm.current import settings
from crm.db import session

bp = Blueprint("health", __name__)
BROKER_TIMEOUT_S = 1.0


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer that this process lives; touches nothing else."""
    return {"status": "alive"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer whether database, schema and broker let us serve: 200, or 503 with what is away."""
    state = {"database": _database(), "broker": _broker()}
    return {"status": state}, 200 if set(state.values()) == {"ready"} else 503


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
