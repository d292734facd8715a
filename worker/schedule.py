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
    "tick": _every(1, "tick"),
    "recover": _every(5, "recover"),
    "seal": _every(60, "seal"),
    "safekeep": _every(1, "safekeep"),
    "tidy": _every(3600, "tidy"),
}
"""A message that waited as long as its own period is thrown away: the next one says the same."""

BULK, SERVICE, HOUSE = "bulk", "service", "house"
DOORBELLS = {BULK: "worker.tasks.send_bulk", SERVICE: "worker.tasks.send_service"}
"""By queue, the task that fills a free sender's place."""
DOORBELL_S = 5
"""How long a doorbell is worth hearing."""

ROUTES = {task: {"queue": queue} for queue, task in DOORBELLS.items()} | {
    "worker.tasks.*": {"queue": HOUSE}
}
