"""Processes of the product, started for a test and ended with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crm.config import Settings

ROOT = Path(__file__).parents[2]
START_S = 30.0
END_S = 20.0


def environment(settings: Settings) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SMTP_URL": settings.smtp_url,
        "PUBLIC_URL": settings.public_url,
        "SECRET_KEYS": ",".join(settings.secret_keys),
        "SUPPRESSION_KEYS": ",".join(settings.suppression_keys),
        "STATE_DIR": str(settings.state_dir),
    }


@contextmanager
def started(
    settings: Settings, *command: str, wait_for: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process of ours; with ``wait_for`` its first line of output is awaited."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if wait_for else None,
        text=True,
        start_new_session=True,
    )
    try:
        if wait_for and process.stdout:
            assert wait_for in process.stdout.readline()
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End a process and all it started, kindly first."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(END_S)
    if process.stdout:
        process.stdout.close()


@dataclass(frozen=True)
class Site:
    """The web process, serving on a loopback port."""

    port: int


@contextmanager
def site(settings: Settings, app: str = "wsgi:app") -> Iterator[Site]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "8"]
    quiet = ["--worker-class", "gthread", "--log-level", "error", "--no-control-socket"]
    with started(settings, "gunicorn", *options, *quiet, app):
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Site(port=port)
