"""`dev.py run`: the whole clinic on this machine, until Ctrl-C."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from devtools import assembly, orphans, ports, services
from devtools.files import opened, take
from devtools.paths import PYTHON, ROOT, VAR
from devtools.processes import Program, Supervisor
from devtools.terminal import working

LETTERS_PORT = 8025
SITE_PORT = 8026
READY_S = 60
AS_ROOT = "ignore:You're running the worker with superuser"
"""Celery warns root at length; on a developer's machine that only hides other lines."""
CELERY = [str(PYTHON), "-W", AS_ROOT, "-m", "celery", "--quiet", "-A", "worker"]
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]


def main(arguments: list[str]) -> int:
    """Until a signal comes, or a program ends that should not have."""
    if arguments:
        sys.exit("dev.py run takes no arguments; the port is PORT in the environment.")
    services.make_var()
    with _alone():
        orphans.end(VAR)
        port = _port()
        assembly.ready()
        with services.lasting() as variables:
            letters = _letters(variables)
            site_port = ports.free(preferred=SITE_PORT)
            variables |= orphans.mark(VAR)
            return _serve(variables, [*letters, _site(variables, site_port)], port, site_port)


def _serve(variables: services.Variables, first: list[Program], port: int, site_port: int) -> int:
    supervisor = Supervisor(variables)
    site = f"http://{ports.LOOPBACK}:{site_port}"
    try:
        for program in first:
            supervisor.start(program)
        _set_up(variables, site)
        for program in _programs(port):
            supervisor.start(program)
        _wait_until_ready(supervisor, port)
        print(f"\nThe clinic is at {variables['PUBLIC_URL']}", flush=True)
        print(f"Its own site, with a form in it, is at {site}", flush=True)
        if "LETTERS_URL" in variables:
            print(f"Its letters are at {variables['LETTERS_URL']}", flush=True)
        print("Ctrl-C stops everything.", flush=True)
        program, status = supervisor.watch()
        sys.exit(f"Stopped, because {program.name} ended with status {status}.")
    finally:
        with working("Stopping"):
            supervisor.stop()


def _programs(port: int) -> list[Program]:
    python = str(PYTHON)
    web = ["gunicorn", "wsgi:app", "-b", f"{ports.LOOPBACK}:{port}", "--worker-class", "gthread"]
    web += ["--workers", "2", "--threads", "8", "--no-control-socket", "--log-level", "warning"]
    lanes = [("bulk", 2), ("service", 2), ("house", 1)]
    beat = [*CELERY, "beat", "-s", str(VAR / "beat"), "-l", "WARNING"]
    return [
        Program("the web server", [python, "-m", *web]),
        *(Program(f"the worker of the {lane} lane", _worker(lane, slots)) for lane, slots in lanes),
        # A polite end in the middle of a tick makes beat print hundreds of lines, and it has
        # nothing to finish: two beats or a lost doorbell change nothing.
        Program("beat", beat, stop_signal=signal.SIGKILL),
    ]


def _worker(lane: str, slots: int) -> list[str]:
    return [*CELERY, "worker", "-Q", lane, "-c", str(slots), "-n", f"{lane}@%h", *QUIET]


def _letters(variables: services.Variables) -> list[Program]:
    """The mail catcher, unless SMTP_URL names a server; tells `variables` where it is."""
    if os.environ.get("SMTP_URL"):
        return []
    smtp, pages = ports.free(), ports.free(preferred=LETTERS_PORT)
    variables["SMTP_URL"] = f"smtp://{ports.LOOPBACK}:{smtp}?starttls=never"
    services.tell_catcher(variables["SMTP_URL"])
    variables["LETTERS_URL"] = f"http://{ports.LOOPBACK}:{pages}"
    command = [str(PYTHON), "-m", "devtools.catcher", "--store", str(VAR / "letters")]
    return [Program("the mail catcher", [*command, "--smtp", str(smtp), "--http", str(pages)])]


def _site(variables: services.Variables, port: int) -> Program:
    """The page of the invented clinic that embeds the hosted form."""
    command = [str(PYTHON), "-m", "devtools.site", "--port", str(port)]
    return Program("the demo site", [*command, "--clinic", variables["PUBLIC_URL"]])


def _set_up(variables: services.Variables, site: str) -> None:
    command = [str(PYTHON), "-m", "flask", "--app", "wsgi", "crm", "setup", "--site", site]
    status = subprocess.run(command, env=variables, cwd=ROOT, check=False).returncode
    if status != 0:
        sys.exit("The database could not be set up; the reason stands above.")


def _wait_until_ready(supervisor: Supervisor, port: int) -> None:
    address = f"http://{ports.LOOPBACK}:{port}/healthz"
    until = time.monotonic() + READY_S
    with working("Starting the clinic"):
        while time.monotonic() < until and not supervisor.ended():
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
                return
            time.sleep(0.1)


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        sys.exit(f"PORT is {text!r}, which is not a port between 1 and 65535.")
    if not ports.is_free(int(text)):
        sys.exit(f"Port {text} is taken by another program: choose one with PORT=… dev.py run")
    return int(text)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the one lock of `run` in this checkout."""
    path: Path = VAR / "run.lock"
    with opened(path) as lock:
        if not take(lock):
            sys.exit(f"Already running here, as process {path.read_text().strip()}.")
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
