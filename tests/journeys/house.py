"""The whole product as processes, started once: site, three lanes of workers, beat, a sink."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.db import db
from devtools.catcher import Letter, Sink
from tests.delivery.processes import ROOT, end, environment
from tests.journeys import letters

PATIENCE_S = 60.0
"""How long anything promised may take on a machine that has other things to do."""
LANES = ("bulk", "service", "house")
AS_ROOT = "ignore:You're running the worker with superuser"
CELERY = ("-W", AS_ROOT, "-m", "celery", "--quiet", "-A", "worker")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO")


@dataclass(frozen=True, kw_only=True)
class House:
    """Where the processes are reached, and what they wrote down."""

    settings: Settings
    site: str
    """The clinic's own site, of another origin, with the form in a frame."""
    sink: Sink
    logs: Path
    """A file a process, with all that it wrote to stdout and stderr."""
    app: Flask
    """The same application in this process, to look into the database with."""

    @property
    def origin(self) -> str:
        return self.settings.public_url

    @contextmanager
    def looking(self) -> Iterator[Session]:
        """Look into the database, or prepare something in it that has its own tests."""
        with self.app.app_context():
            yield db.session()
            db.session.remove()

    def letter_to(self, address: str, *, about: str) -> Letter:
        """Return the letter with this subject, once it has come. Fails when it does not."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for letter in self.letters_about(about):
                if letter.rcpt == address:
                    return letter
            time.sleep(0.1)
        raise AssertionError(f"no such letter in {PATIENCE_S:.0f} s")

    def letters_about(self, subject: str) -> list[Letter]:
        """Return the letters with exactly this subject."""
        return [one for one in self.sink.messages() if letters.subject(one) == subject]

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run ``flask crm …`` as a process; what it says is kept with the logs too."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "crm", *words],
            cwd=ROOT,
            env=environment(self.settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        with (self.logs / "commands.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        return done


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: HTTPMessage


def request(method: str, address: str, body: bytes | None = None) -> Answer:
    """Ask as a program does: no cookie, no redirect followed."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE_S)
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        connection.request(method, parts.path, body, kind)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return Answer(status=answer.status, headers=answer.headers)


@contextmanager
def processes(settings: Settings, logs: Path) -> Iterator[None]:
    """Start all of them at once, and return when the site is ready to serve."""
    address = settings.public_url.removeprefix("http://")
    web = ("-m", "gunicorn", "wsgi:app", "--bind", address, "--worker-class", "gthread")
    with ExitStack() as running:
        served = (*web, "--workers", "1", "--threads", "8", "--no-control-socket")
        beat = (*CELERY, "beat", "-s", str(logs / "schedule"), "-l", "INFO")
        lanes = {
            lane: (*CELERY, "worker", "-Q", lane, "-c", "1", "-n", f"{lane}@%h", *QUIET)
            for lane in LANES
        }
        all_of_them = [
            running.enter_context(_process(settings, logs / f"{name}.log", *command))
            for name, command in {"web": served, "beat": beat, **lanes}.items()
        ]
        _wait_until_ready(settings.public_url)
        yield
        for process in all_of_them:
            process.terminate()


@contextmanager
def _process(settings: Settings, log: Path, *command: str) -> Iterator["subprocess.Popen[str]"]:
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(settings) | {"LOG_FORMAT": "json"},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process)


def _wait_until_ready(origin: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            if request("GET", f"{origin}/readyz").status == HTTPStatus.OK:
                return
        except (OSError, HTTPException):
            pass
        time.sleep(0.1)
    raise AssertionError("the site did not become ready; its log is beside the others")
