"""How often one sender may do a thing: Flask-Limiter, counted in Valkey.

A view says ``@limiter.limit("30 per minute")``. Where Valkey is away each process counts for
itself, so nothing stops working and nothing is without a limit.
"""

import logging

from flask import Flask, request
from flask_limiter import Limiter

ANSWER_WITHIN_S = 0.5


def sender() -> str:
    """Return the network address that the request comes from, as the proxy before us tells it."""
    return request.remote_addr or "unknown"


limiter = Limiter(
    key_func=sender,
    in_memory_fallback_enabled=True,
    swallow_errors=True,
    strategy="moving-window",
)


def init(app: Flask) -> None:
    """Count where ``RATELIMIT_STORAGE_URI`` says; in memory where nothing is said."""
    app.config.setdefault("RATELIMIT_STORAGE_URI", "memory://")
    # The library writes the sender's address into its log.
    logging.getLogger("flask-limiter").setLevel(logging.WARNING)
    limiter.init_app(app)


def storage(redis_url: str) -> dict[str, object]:
    """Return the configuration that counts in Valkey; it waits half a second for an answer."""
    uri = f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url
    waits = {"socket_timeout": ANSWER_WITHIN_S, "socket_connect_timeout": ANSWER_WITHIN_S}
    return {"RATELIMIT_STORAGE_URI": uri, "RATELIMIT_STORAGE_OPTIONS": waits}
