"""A private Valkey (or Redis): started or adopted, and stopped."""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

from devtools import binaries, ports
from devtools.files import secret, write_private
from devtools.terminal import working

START_S = 20


class Valkey:
    """One server with its state in `place`."""

    variable = "REDIS_URL"
    folder = "valkey"

    def __init__(self, place: Path, *, is_durable: bool) -> None:
        server = binaries.valkey()
        if server is None:
            sys.exit("No Valkey for this machine: set REDIS_URL, or apt-get install redis-server.")
        self._server = server
        self._is_durable = is_durable
        self._data = place / self.folder
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._password = secret(self._data / "password")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Its URL. A server that a killed supervisor left behind is taken over as it is."""
        with working("Starting Valkey"):
            if not self._answers():
                self._launch()
        return f"redis://:{self._password}@{ports.LOOPBACK}:{self._port()}/0"

    def stop(self) -> None:
        """Returns when it has ended, also when it was not running."""
        with contextlib.suppress(OSError, ValueError):
            self._ask("SHUTDOWN")
        until = time.monotonic() + START_S
        while self._answers() and time.monotonic() < until:
            time.sleep(0.02)
        if self._process:
            self._process.wait(START_S)

    def _launch(self) -> None:
        port = ports.free()
        write_private(self._data / "port", str(port))
        write_private(self._data / "valkey.conf", self._configuration(port))
        self._process = subprocess.Popen(
            [self._server, self._data / "valkey.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C on the terminal is not meant for the server
        )
        until = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                sys.exit(f"Valkey did not start: see {self._data / 'server.log'}")
            time.sleep(0.02)

    def _configuration(self, port: int) -> str:
        settings = {
            "port": str(port),
            "bind": ports.LOOPBACK,
            "dir": f'"{self._data}"',
            "logfile": "server.log",
            "loglevel": "warning",
            "requirepass": self._password,
            "appendonly": "yes" if self._is_durable else "no",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return b"+PONG" in self._ask("PING")
        return False

    def _ask(self, command: str) -> bytes:
        with socket.create_connection((ports.LOOPBACK, self._port()), timeout=2) as connection:
            connection.sendall(f"AUTH {self._password}\r\n{command}\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:  # one line for each of the two
                part = connection.recv(200)
                if not part:
                    break
                answer += part
        return answer

    def _port(self) -> int:
        return int((self._data / "port").read_text())
