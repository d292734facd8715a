"""A private PostgreSQL: made, started or adopted, and stopped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from devtools import binaries, ports, shared
from devtools.files import secret, write_private
from devtools.terminal import working

NAME = "vezhlivo"
CONNECTIONS = 120
ATTEMPTS = 3
NOT_RUNNING = 3
"""The status with which `pg_ctl status` says so."""

IS_RUSSIAN = "SELECT lower('ИВАНОВА') = 'иванова' AND cardinality(show_trgm('Иванова')) > 0"
"""With lc_ctype=C, pg_trgm silently drops Cyrillic: search would find nobody."""


class Postgres:
    """One cluster, in `place` or, for root, where `nobody` can reach it."""

    variable = "DATABASE_URL"
    folder = "postgres"

    def __init__(self, place: Path, *, is_durable: bool) -> None:
        found = binaries.postgres()
        if found is None:
            sys.exit(
                "No PostgreSQL for this machine: set DATABASE_URL, or apt-get install postgresql."
            )
        self._is_durable = is_durable
        self._home = shared.home(place)
        self._account = shared.account()
        self._data = self._home / self.folder
        self._password = secret(self._home / "postgres.password")
        self._binaries = shared.readable(found)

    def start(self) -> str:
        """Its URL. A server that a killed supervisor left behind is taken over as it is."""
        with working("Starting PostgreSQL"):
            if not (self._data / "PG_VERSION").exists():
                self._make()
            if self._tool("pg_ctl", "-D", str(self._data), "status").returncode == NOT_RUNNING:
                self._launch()
            self._prepare()
        return (
            f"postgresql+psycopg://{NAME}:{self._password}@{ports.LOOPBACK}:{self._port()}/{NAME}"
        )

    def stop(self) -> None:
        """Returns when it has ended, also when it was not running; clients are disconnected."""
        if (self._data / "postmaster.pid").exists():
            self._tool("pg_ctl", "-D", str(self._data), "-w", "-m", "fast", "stop")

    def _make(self) -> None:
        half_done = self._data.with_suffix(".making")
        shutil.rmtree(half_done, ignore_errors=True)
        half_done.mkdir(mode=0o700)
        password_file = self._home / "postgres.initial"
        write_private(password_file, self._password)
        if self._account:
            for path in (half_done, password_file):
                os.chown(path, self._account["user"], self._account["group"])
        self._must(
            "initdb", "-D", str(half_done), "-U", NAME, "-A", "scram-sha-256", "--no-sync",
            f"--pwfile={password_file}", "-E", "UTF8", *self._locale(),
        )  # fmt: skip
        password_file.unlink()
        half_done.rename(self._data)

    def _locale(self) -> list[str]:
        if binaries.major_version(self._binaries) < 17:  # the builtin provider came with 17
            return ["--locale=C.UTF-8"]
        ctype = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return [*builtin, "--locale=C", f"--lc-ctype={ctype}"]

    def _launch(self) -> None:
        settings = {
            "listen_addresses": ports.LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._is_durable:
            settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        log = self._data / "server.log"
        for _ in range(ATTEMPTS):  # somebody may take the port between the look and the start
            options = {**settings, "port": str(ports.free())}
            flags = " ".join(f"-c {name}={value}" for name, value in options.items())
            started = self._tool(
                "pg_ctl",
                "-D",
                str(self._data),
                "-w",
                "-t",
                "60",
                "-l",
                str(log),
                "-o",
                flags,
                "start",
            )
            if started.returncode == 0:
                return
        sys.exit(f"PostgreSQL did not start: {_last_line(log)} (see {log})")

    def _prepare(self) -> None:
        asked = "SELECT count(*) FROM pg_database WHERE datname = current_user"
        if self._sql("postgres", asked) == "0":
            self._sql("postgres", f"CREATE DATABASE {NAME}")
            contrib = "CREATE EXTENSION pg_trgm"
            if self._sql(NAME, "BEGIN", contrib, IS_RUSSIAN, "ROLLBACK") != "t":
                sys.exit("This PostgreSQL cannot search Russian text: set DATABASE_URL to another.")

    def _sql(self, database: str, *statements: str) -> str:
        commands = [part for each in statements for part in ("-c", each)]
        return self._must(
            "psql", "-h", ports.LOOPBACK, "-p", self._port(), "-U", NAME, "-d", database,
            "-qAtX", "-v", "ON_ERROR_STOP=1", *commands,
        ).strip()  # fmt: skip

    def _port(self) -> str:
        return (self._data / "postmaster.pid").read_text().splitlines()[3]

    def _must(self, tool: str, *arguments: str) -> str:
        done = self._tool(tool, *arguments)
        if done.returncode != 0:
            sys.exit(f"{tool} failed: {' '.join(done.stdout.split())[-300:]}")
        return done.stdout

    def _tool(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._binaries / tool, *arguments],
            cwd="/",
            env={
                "PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC",
                "PGPASSWORD": self._password, "PGCLIENTENCODING": "UTF8",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # a Ctrl-C on the terminal is not meant for the server
            check=False,
            **self._account,
        )  # fmt: skip


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it wrote no log"
