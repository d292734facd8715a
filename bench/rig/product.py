"""The product's own processes, started as `dev.py run` starts them."""

import contextlib
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from bench.rig.mailings import accepted, launched
from bench.rig.processes import children, started, wait_for
from crm.config import from_environ
from crm.delivery.rules import SENDERS
from devtools import ports
from devtools.run import CELERY, QUIET
from devtools.terminal import working

SLOTS = {"bulk": SENDERS, "service": 2, "house": 1}
WARM_UP = 2000
READY_S = 30.0
FAULTS = ("WARNING", "ERROR", "CRITICAL", "Error:")
LINES = 5
"""Of a worker's log, shown when it had something to complain about."""


@dataclass(frozen=True, slots=True)
class Product:
    """Workers and beat, running. ``workers`` are the Celery parents by queue."""

    workers: dict[str, int]

    @property
    def senders(self) -> list[int]:
        """Return the processes that send campaigns."""
        return children(self.workers["bulk"])


@contextlib.contextmanager
def running(
    engine: Engine,
    smtp_url: str,
    *,
    lanes: tuple[str, ...] = ("bulk", "house"),
    warm_up: int = WARM_UP,
    elsewhere: dict[str, str] | None = None,
) -> Iterator[Product]:
    """The product at work, warmed up by a mailing of ``warm_up`` letters and idle again.

    ``elsewhere`` has, by lane, the SMTP_URL of those that hand their letters over elsewhere.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = {}
        for lane in lanes:
            variables = {**os.environ, "SMTP_URL": (elsewhere or {}).get(lane, smtp_url)}
            log = folder / f"{lane}.log"
            process = stack.enter_context(started(_worker(lane), variables, output=log))
            stack.callback(_show_faults, log)
            workers[lane] = process.pid
        beat = [*CELERY, "beat", "-s", str(folder / "beat"), "-l", "WARNING"]
        # Its polite end in the middle of a tick is hundreds of lines about nothing.
        stack.enter_context(started(beat, dict(os.environ), output=folder / "beat.log"))
        with working("Starting the senders"):
            _wait_for_senders(engine, sum(SLOTS[lane] for lane in lanes if lane != "house"))
            accepted(engine, launched(engine, from_environ(), to=range(1, warm_up + 1)))
        yield Product(workers)


@contextlib.contextmanager
def site() -> Iterator[int]:
    """The web server on a free port, which it yields."""
    port = ports.free()
    command = [sys.executable, "-m", "gunicorn", "wsgi:app", "-b", f"{ports.LOOPBACK}:{port}"]
    command += ["--worker-class", "gthread", "--workers", "2", "--threads", "8"]
    quiet = ["--no-control-socket", "--log-level", "warning"]
    with contextlib.ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "site.log"
        stack.enter_context(started([*command, *quiet], dict(os.environ), output=log))
        stack.callback(_show_faults, log)
        wait_for("the site", lambda: _is_healthy(port), timeout_s=READY_S)
        yield port


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{ports.LOOPBACK}:{port}/readyz", timeout=2):
            return True
    except OSError:
        return False


def _show_faults(log: Path) -> None:
    lines = log.read_text(errors="replace").splitlines()
    faults = [line for line in lines if any(word in line for word in FAULTS)]
    for line in faults[:LINES]:
        print(f"  {log.stem}: {line}", file=sys.stderr)


def _worker(lane: str) -> list[str]:
    slots = str(SLOTS[lane])
    return [*CELERY, "worker", "-Q", lane, "-c", slots, "-n", f"{lane}@%h", *QUIET]


def _wait_for_senders(engine: Engine, senders: int) -> None:
    def are_there() -> bool:
        with engine.connect() as connection:
            return (connection.scalar(text(_SENDERS)) or 0) >= senders

    wait_for("the senders", are_there, timeout_s=READY_S)


_SENDERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sender'"
