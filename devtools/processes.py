"""The supervisor of `run`: starts programs, and when one ends or a signal comes, stops them all."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from devtools.paths import ROOT

PATIENCE_S = 8.0
LOOK_S = 0.1


@dataclass(frozen=True)
class Program:
    """A command line under the name that people know it by."""

    name: str
    command: list[str]
    stop_signal: signal.Signals = signal.SIGTERM


class Supervisor:
    """Programs in groups of their own, so that Ctrl-C reaches them through us and in order."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []

    def start(self, program: Program) -> None:
        process = subprocess.Popen(
            program.command,
            env=self._variables,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running.append((program, process))

    def watch(self) -> tuple[Program, int]:
        """Waits until one has ended by itself: which, and with what status."""
        while True:
            ended = self.ended()
            if ended:
                return ended
            time.sleep(LOOK_S)

    def ended(self) -> tuple[Program, int] | None:
        """The first that has ended by itself."""
        for program, process in self._running:
            if process.poll() is not None:
                return program, process.returncode
        return None

    def stop(self) -> None:
        """End all, last started first; after some patience, by force and with all descendants."""
        for program, process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(program.stop_signal)
        until = time.monotonic() + PATIENCE_S
        for _, process in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
