"""PostgreSQL and Valkey for a command: those that the environment names, or private ones.

Two kinds of place. `lasting` keeps its state in var/ and is shared by everybody who uses this
checkout at the moment (a `run`, any number of `exec`): the last one out stops the servers.
`temporary` is one command's own and vanishes with it. Both hold a file lock while they live, so
that what a killed process left behind is known for certain, and is adopted or cleared away.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from devtools import environment, orphans, shared
from devtools.files import locked, opened, secret, take, write_private
from devtools.paths import ROOT, VAR
from devtools.postgres import Postgres
from devtools.valkey import Valkey

PREFIX = "test-"
NOWHERE = "smtp://127.0.0.1:9?starttls=never"
"""Where letters go while there is no catcher: nothing listens there."""

CATCHER = VAR / "smtp_url"

Variables = dict[str, str]


@contextlib.contextmanager
def lasting() -> Iterator[Variables]:
    """The environment for processes that use this checkout's own state."""
    make_var()
    started = VAR / "starting.lock"
    with opened(VAR / "users.lock") as users, contextlib.ExitStack() as running:
        with locked(started):
            fcntl.flock(users, fcntl.LOCK_SH)
            variables = environment.variables() | _keys(VAR)
            variables.setdefault("SMTP_URL", _caught_at())
            if not variables.get(Postgres.variable):
                variables.setdefault("STATE_DIR", str(VAR / "state"))
            servers = _wanted(variables, VAR, is_durable=True)
            running.callback(_stop_after_the_last, servers, users, started)
            for server in servers:
                variables[server.variable] = server.start()
        yield variables


@contextlib.contextmanager
def temporary(*, is_durable: bool) -> Iterator[Variables]:
    """The environment for processes that must leave nothing behind.

    Letters go nowhere, whatever SMTP_URL says: no test may write to a person.
    """
    base = shared.make() if shared.is_needed() else Path(tempfile.gettempdir())
    prefix = f"vezhlivo-{os.geteuid()}-{PREFIX}"
    _clear_dead(base, prefix)
    place = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    with opened(place / "lock.new") as lock, contextlib.ExitStack() as running:
        take(lock)
        (place / "lock.new").rename(place / "lock")  # seen by others only once it is held
        running.callback(shutil.rmtree, place, ignore_errors=True)
        variables = environment.variables() | _keys(place) | orphans.mark(place)
        variables["SMTP_URL"] = NOWHERE
        variables["STATE_DIR"] = str(place / "state")
        for server in _wanted(variables, place, is_durable=is_durable):
            running.callback(server.stop)
            variables[server.variable] = server.start()
        running.callback(orphans.end, place)
        yield variables


def tell_catcher(url: str) -> None:
    """Remember for `exec` where the catcher of this checkout's `run` listens."""
    write_private(CATCHER, url)


def _caught_at() -> str:
    return CATCHER.read_text() if CATCHER.exists() else NOWHERE


def make_var() -> None:
    """The folder of the lasting place, or a sentence when it cannot be used."""
    try:
        VAR.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        sys.exit(f"{ROOT} cannot be written by this user: copy the project to where it can be.")
    if not os.access(VAR, os.R_OK | os.W_OK | os.X_OK):
        sys.exit(f"{VAR} belongs to another user: run as that one, or in a copy of the project.")


def _keys(place: Path) -> Variables:
    port = os.environ.get("PORT", "8000")
    defaults = {
        "PORT": port,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "LOG_FORMAT": "text",
        "SECRET_KEYS": secret(place / "secret_keys"),
        "SUPPRESSION_KEYS": secret(place / "suppression_keys"),
    }
    return {name: os.environ.get(name) or value for name, value in defaults.items()}


def _wanted(variables: Variables, place: Path, *, is_durable: bool) -> list[Postgres | Valkey]:
    return [
        kind(place, is_durable=is_durable)
        for kind in (Postgres, Valkey)
        if not variables.get(kind.variable)
    ]


def _stop_after_the_last(servers: list[Postgres | Valkey], users: int, started: Path) -> None:
    with locked(started):
        if take(users):
            for server in reversed(servers):
                server.stop()


def _clear_dead(base: Path, prefix: str) -> None:
    """Places whose command was killed: end what still runs there, then remove them."""
    for place in base.glob(f"{prefix}*"):
        if place.lstat().st_uid != os.geteuid() or not (place / "lock").exists():
            continue
        with opened(place / "lock") as lock:
            if take(lock):
                orphans.end(place)
                for kind in (Postgres, Valkey):
                    if (place / kind.folder).exists():
                        kind(place, is_durable=False).stop()
                shutil.rmtree(place, ignore_errors=True)
