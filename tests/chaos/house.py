"""The product's own worker processes, started, found and killed."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import Self

from celery import Celery

from crm.config import Settings
from tests.delivery.processes import started
from worker.schedule import DOORBELLS

APP = ("celery", "-A", "tests.delivery.worker_app")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")


def ring(settings: Settings, times: int) -> None:
    """Be the tick that fills senders' places."""
    with Celery(broker=settings.redis_url, set_as_current=False) as celery:
        for _ in range(times):
            celery.send_task(DOORBELLS["bulk"], queue="bulk", expires=30)


def children(process: "Popen[str]") -> list[int]:
    """Return the process ids of a pool's children; Linux knows."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in listed.read_text().split()]


class House:
    """Bulk and housekeeping workers and beat; each can be killed and started again."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.processes: dict[str, Popen[str]] = {}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def start(self, *names: str) -> None:
        for name in names:
            command = started(self.settings, *APP, *self._command(name))
            self.processes[name] = self._running.enter_context(command)

    def kill(self, *names: str) -> None:
        """With everything that they started."""
        for name in names:
            os.killpg(self.processes[name].pid, signal.SIGKILL)
            self.processes[name].wait()

    def kill_a_child(self) -> None:
        os.kill(children(self.processes["bulk"])[0], signal.SIGKILL)

    def _command(self, name: str) -> tuple[str, ...]:
        if name == "beat":
            return ("beat", "-s", str(self.folder / "beat"), "-l", "ERROR")
        return ("worker", "-Q", name, "-c", "2" if name == "bulk" else "1", *QUIET)
