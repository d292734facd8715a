"""Processes that outlived whoever had started them, found by a mark in their environment.

A mark is exact where process ids are not: it is inherited by every descendant, in whatever
group or session, and never by a stranger to whom the kernel gave the same number later.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "VEZHLIVO_PLACE"
PATIENCE_S = 5.0


def mark(place: Path) -> dict[str, str]:
    """The variable that processes belonging to `place` carry."""
    return {MARK: str(place)}


def end(place: Path) -> int:
    """End all that belong to `place`, politely and then not; how many there were."""
    found = belonging_to(place)
    _signal(found, signal.SIGTERM)
    until = time.monotonic() + PATIENCE_S
    while belonging_to(place) and time.monotonic() < until:
        time.sleep(0.05)
    _signal(belonging_to(place), signal.SIGKILL)
    return len(found)


def belonging_to(place: Path) -> list[int]:
    """The process ids, without our own."""
    wanted = f"{MARK}={place}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is somebody else's
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return [number for number in found if number != os.getpid()]


def _signal(numbers: list[int], signal_number: signal.Signals) -> None:
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal_number)
