"""A checkout with the real dev.py and stand-ins for the programs that it starts.

The stand-ins take the names of gunicorn, Celery and Flask: `python -m` looks in the checkout first.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devtools import orphans, ports, shared
from devtools.paths import ROOT, VENV

READY = "Ctrl-C stops everything.\n"
SOURCES = ("dev.py", "devtools", "requirements-build.lock", "requirements-dev.lock")
OTHERS = ("DATABASE_URL", "REDIS_URL")
ASSETS = "import pathlib; pathlib.Path('crm/static/build').mkdir(parents=True)"
STAND_INS = {
    "flask": "print('set up')",
    "celery": "import signal\nsignal.pause()",
    "gunicorn": """
import http.server, sys
host, port = sys.argv[sys.argv.index("-b") + 1].split(":")
handler = type("Handler", (http.server.BaseHTTPRequestHandler,), {
    "do_GET": lambda self: (self.send_response(200), self.end_headers()),
    "log_message": lambda *_: None,
})
http.server.HTTPServer((host, int(port)), handler).serve_forever()
""",
}


@dataclass
class Checkout:
    """A copy of the project that can be run."""

    folder: Path
    variables: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def var(self) -> Path:
        return self.folder / "var"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "dev.py", *arguments],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def running(self) -> subprocess.Popen[str]:
        """A `run` that has said that it is ready."""
        process = self.start("run")
        assert process.stdout is not None
        for line in process.stdout:
            if line == READY:
                return process
        raise AssertionError(process.communicate(timeout=10)[1])

    def call(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def processes(self) -> list[int]:
        return orphans.belonging_to(self.var)

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a killed one's own command lives on
        orphans.end(self.var)
        for process in self.started:
            process.communicate()


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "devtools" / "assets.py").write_text(ASSETS)
    (folder / ".venv").symlink_to(VENV)
    for name, program in STAND_INS.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
        (folder / name / "__main__.py").write_text(program)
    variables = {**os.environ, "PORT": str(ports.free()), "SMTP_URL": "smtp://127.0.0.1:9"}
    made = Checkout(folder, variables)
    yield made
    made.end()


@pytest.fixture
def bare_checkout(checkout: Checkout) -> Iterator[Checkout]:
    """A checkout for which no servers run yet."""
    for name in OTHERS:
        del checkout.variables[name]
    yield checkout
    if shared.is_needed():
        shutil.rmtree(shared.home(checkout.var))


def is_soon(condition: object, *, within_s: float = 10.0) -> bool:
    """Whether the callable becomes true in time."""
    assert callable(condition)
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False
