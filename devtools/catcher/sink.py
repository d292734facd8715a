"""The catcher as a real SMTP server for one test."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from devtools.catcher.store import Letter, Store

LOOK_S = 0.02
STOP_S = 10


class Sink:
    """A process that takes in letters while the `with` block lasts.

    `answers.py` tells which recipients it refuses, keeps waiting or leaves without an answer.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vezhlivo-sink-"))
        self._store = Store(self._folder)
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """For SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}?starttls=never"

    def __enter__(self) -> Self:
        command = ["-m", "devtools.catcher", "--smtp", "0", "--store", str(self._folder)]
        self._process = subprocess.Popen(
            [sys.executable, *command, "--keep", "0"],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        announced = self._process.stdout.readline() if self._process.stdout else ""
        if not announced:
            raise RuntimeError("the sink did not start; what it said is on stderr")
        self.port = int(announced)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.communicate(timeout=STOP_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def messages(self) -> list[Letter]:
        """All letters whose final dot has been answered (and maybe a few more), oldest first."""
        return self._store.all()

    def count(self) -> int:
        """Cheaper than to read them all."""
        return self._store.count()

    def wait_for(self, count: int, *, within_s: float = 20.0) -> list[Letter]:
        """The letters, once there are `count`; or those that there are when the time is over."""
        until = time.monotonic() + within_s
        while self._store.count() < count and time.monotonic() < until:
            time.sleep(LOOK_S)
        return self.messages()

    def clear(self) -> None:
        """Forget what came so far."""
        self._store.clear()
