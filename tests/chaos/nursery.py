"""The test's side of ``tests.chaos.sender``: orders senders, and learns how they ended."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crm.config import Settings
from tests.delivery.processes import ROOT, environment

PATIENCE_S = 90.0


class Nursery:
    """Forks a sender at a time, of a process that has read all the code already."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.child = 0

    def begin(self, step: str = "-", *, nth: int = 0, by: str = "-") -> int:
        """Start a sender; return its process id."""
        self._say(f"{nth} {by} {step}")
        self.child = int(self.hear())
        return self.child

    def live(self, step: str = "-", *, nth: int = 0, by: str = "SIGKILL") -> str:
        """Start a sender and return how it ended, or that it was stopped."""
        self.begin(step, nth=nth, by=by)
        return self.hear()

    def wake(self) -> str:
        """Let the stopped sender go on; return how it ended."""
        os.kill(self.child, signal.SIGCONT)
        self._say("")
        return self.hear()

    def jump(self) -> None:
        """Let the sender's clock jump, an hour ahead of the true time or an hour behind it."""
        os.kill(self.child, signal.SIGUSR1)

    def dismiss(self) -> str:
        """Tell the sender to end; return how it did."""
        os.kill(self.child, signal.SIGTERM)
        return self.hear()

    def hear(self) -> str:
        """Return the next line; nothing hangs for ever."""
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE_S), "a sender hangs"
        return self._process.stdout.readline().decode().strip()

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")


@contextmanager
def nursery(settings: Settings, dots: Path, *options: str) -> Iterator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.sender", str(dots), *options],
        cwd=ROOT,
        env=environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    try:
        started = Nursery(process)
        assert started.hear() == "ready"
        yield started
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
