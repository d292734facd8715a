"""Servers of a story's own, that may be killed, restarted and filled."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from devtools import services, shared
from devtools.files import opened, take
from devtools.postgres import Postgres
from devtools.valkey import START_S, Valkey


@contextmanager
def a_place() -> Iterator[Path]:
    """A folder that PostgreSQL may enter; a killed test's is cleared away by the next."""
    base = shared.make() if shared.is_needed() else Path(tempfile.gettempdir())
    prefix = f"vezhlivo-{os.geteuid()}-{services.PREFIX}"
    place = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    with opened(place / "lock.new") as lock:
        take(lock)
        (place / "lock.new").rename(place / "lock")
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


class Database(Postgres):
    """A durable cluster: what it said is committed must be there after a crash."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, is_durable=True)
        self.url = ""

    def start(self) -> str:
        self.url = super().start()
        return self.url

    @property
    def address(self) -> str:
        """For psycopg."""
        return self.url.replace("postgresql+psycopg://", "postgresql://")

    def restart(self, mode: str) -> None:
        """On the same port; ``immediate`` is a crash."""
        log = str(self._data / "server.log")
        done = self._tool("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-m", mode, "restart")
        assert done.returncode == 0, done.stdout

    def _taken(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.address, autocommit=True, application_name=_TAKEN)

    @contextmanager
    def exhausted(self) -> Iterator[None]:
        """Cut everybody off, and leave no connection for anybody, for as long as it lasts."""
        taken: list[psycopg.Connection[tuple[object, ...]]] = []
        first = self._taken()
        try:
            while first.execute(_CUT_THE_PRODUCT).fetchall():
                with contextlib.suppress(psycopg.OperationalError):
                    while True:
                        taken.append(self._taken())
            yield
        finally:
            for connection in [first, *taken]:
                connection.close()


_TAKEN = "taken by the story"
_CUT_THE_PRODUCT = f"""
    SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND application_name <> '{_TAKEN}'
"""  # noqa: S608 - a constant


class Broker(Valkey):
    """A Valkey that can be killed and started again where it was."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, is_durable=False)

    def kill(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(START_S)

    def again(self) -> None:
        """Start it, empty, on the same port."""
        self._process = subprocess.Popen(
            [self._server, self._data / "valkey.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < until
            time.sleep(0.02)
