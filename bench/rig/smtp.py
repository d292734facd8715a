"""smtp-source and smtp-sink: what SMTP allows on this machine, and where the letters end."""

import contextlib
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.rig.processes import started, wait_for
from bench.rig.tools import postfix
from crm.delivery.rules import LINES, SENDERS
from devtools import ports

COUNT = re.compile(rb"mesg=\s*(\d+)")
BACKLOG = 1000
SESSIONS = 16


@dataclass(frozen=True, slots=True)
class Sink:
    """A running smtp-sink: it takes every letter, counts it, and throws it away."""

    port: int
    pid: int
    counts: Path

    @property
    def url(self) -> str:
        """Return what SMTP_URL is to be: as many lines as all senders can use."""
        lines = LINES * SENDERS
        return f"smtp://{ports.LOOPBACK}:{self.port}?starttls=never&connections={lines}"

    def letters(self) -> int:
        """Return how many letters it has accepted so far."""
        with self.counts.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
            found = COUNT.findall(file.read())
        return int(found[-1]) if found else 0


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    """An smtp-sink on a free port. Raises NotToBeHad."""
    place, port = postfix(), ports.free()
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        address = f"{ports.LOOPBACK}:{port}"
        command = [str(place / "usr/sbin/smtp-sink"), *user, "-c", address, str(BACKLOG)]
        with started(command, _libraries(place), output=counts) as process:
            wait_for("smtp-sink", lambda: _answers(port), timeout_s=10)
            yield Sink(port, process.pid, counts)


@contextlib.contextmanager
def source(to: Sink, *, letters: int, size: int) -> Iterator[None]:
    """An smtp-source that hands ``letters`` of ``size`` bytes to the sink."""
    place = postfix()
    command = [str(place / "usr/sbin/smtp-source"), "-d", "-s", str(SESSIONS)]
    command += ["-m", str(letters), "-l", str(size), "-f", "news@clinic.example"]
    command += ["-t", "person@mail.example", f"{ports.LOOPBACK}:{to.port}"]
    process = subprocess.Popen(command, env=_libraries(place))
    try:
        yield
    finally:
        process.wait(60)


def _libraries(place: Path) -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": str(place / "usr/lib/postfix")}


def _answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex((ports.LOOPBACK, port)) == 0
