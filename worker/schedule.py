"""What happens on its own, and how often (seconds)."""

from typing import Any


def _every(seconds: float, task: str, *arguments: str) -> dict[str, Any]:
    return {
        "task": f"worker.tasks.{task}",
        "args": arguments,
        "schedule": seconds,
        "options": {"expires": seconds},
    }


BEAT = {
    "ring-bulk": _every(1, "send_bulk"),
    "ring-service": _every(1, "send_service"),
    "release": _every(1, "release"),
    "close": _every(1, "close"),
    "recover": _every(5, "recover"),
    "seal": _every(60, "seal"),
}
"""A message that waited as long as its own period is thrown away: the next one says the same."""

ROUTES = {
    "worker.tasks.send_bulk": {"queue": "bulk"},
    "worker.tasks.send_service": {"queue": "service"},
    "worker.tasks.*": {"queue": "house"},
}
