"""A relay that is far away: a TCP proxy that delivers every chunk later, in a process of its own.

``python -m bench.rig.far LISTEN_PORT RELAY_PORT DELAY_S [DOTS_FILE]``: the delay is that of one
way, so a round trip takes twice as long. With a file it writes down, for every final dot that
passes on the way to the relay, the recipient and the moment in monotonic nanoseconds.
"""

import contextlib
import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bench.rig.processes import started, wait_for
from devtools import ports
from devtools.paths import PYTHON

CHUNK = 1 << 17
SOON_S = 0.0001
"""What is due so soon is delivered now: no sleep is shorter."""
RCPT = re.compile(rb"(?i)RCPT TO:<([^>]*)>")
DOT = b"\r\n.\r\n"


@contextlib.contextmanager
def far_away(relay_port: int, *, one_way_s: float) -> Iterator[tuple[int, int]]:
    """Yields the port of a proxy to the relay, and its process."""
    with _proxy(relay_port, str(one_way_s)) as running:
        yield running


@contextlib.contextmanager
def listened_to(relay_port: int, dots: Path) -> Iterator[int]:
    """Yields the port of a proxy without delay that writes down the dots."""
    with _proxy(relay_port, "0", str(dots)) as (port, _):
        yield port


@contextlib.contextmanager
def _proxy(relay_port: int, *arguments: str) -> Iterator[tuple[int, int]]:
    port = ports.free()
    command = [str(PYTHON), "-m", "bench.rig.far", str(port), str(relay_port), *arguments]
    with started(command, {}) as process:
        wait_for("the far relay", lambda: not ports.is_free(port), timeout_s=10)
        yield port, process.pid


@dataclass(slots=True, eq=False)
class Side:
    """One end of a conversation that passes here. Only what comes from a sender is listened to."""

    socket: socket.socket
    is_sender: bool
    other: "Side | None" = None
    heard: bytes = b""


@dataclass(slots=True)
class Proxy:
    """The chunks under way: first in, first out, because all take equally long."""

    relay_port: int
    delay_s: float
    dots: BinaryIO | None
    sides: dict[int, Side] = field(default_factory=dict)
    under_way: deque[tuple[float, Side, bytes]] = field(default_factory=deque)

    def serve(self, port: int) -> None:
        """Pass on, for ever."""
        listener = socket.create_server((ports.LOOPBACK, port), backlog=500)
        poll = select.epoll()
        poll.register(listener, select.EPOLLIN)
        while True:
            for number, _ in poll.poll(self._patience()):
                if number == listener.fileno():
                    self._meet(listener.accept()[0], poll)
                else:
                    self._hear(self.sides[number], poll)
            self._deliver()

    def _patience(self) -> float | None:
        """Return how long to listen: whole milliseconds, since epoll knows no others."""
        if not self.under_way:
            return None
        left = self.under_way[0][0] - time.monotonic()
        if SOON_S < left < 0.001:
            time.sleep(left)
        return max(0.0, int(left * 1000) / 1000)

    def _meet(self, sender: socket.socket, poll: select.epoll) -> None:
        relay = socket.create_connection((ports.LOOPBACK, self.relay_port))
        pair = Side(sender, is_sender=True), Side(relay, is_sender=False)
        for side, other in (pair, reversed(pair)):
            side.other = other
            side.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sides[side.socket.fileno()] = side
            poll.register(side.socket, select.EPOLLIN)

    def _hear(self, side: Side, poll: select.epoll) -> None:
        try:
            chunk = side.socket.recv(CHUNK)
        except ConnectionError:
            chunk = b""
        if not chunk:
            poll.unregister(side.socket)
            del self.sides[side.socket.fileno()]
        elif self.dots and side.is_sender:
            self._write_down(side, chunk)
        assert side.other is not None
        self.under_way.append((time.monotonic() + self.delay_s, side.other, chunk))

    def _deliver(self) -> None:
        now = time.monotonic() + SOON_S
        while self.under_way and self.under_way[0][0] <= now:
            _, side, chunk = self.under_way.popleft()
            with contextlib.suppress(OSError):  # it has gone: what was meant for it is lost
                if chunk:
                    side.socket.sendall(chunk)
                else:
                    side.socket.shutdown(socket.SHUT_WR)

    def _write_down(self, side: Side, chunk: bytes) -> None:
        *letters, side.heard = (side.heard + chunk).split(DOT)
        assert self.dots is not None
        for letter in letters:
            self.dots.write(b"%d %b\n" % (time.monotonic_ns(), RCPT.findall(letter)[-1]))
            self.dots.flush()


def main() -> None:
    """Serve until ended by a signal."""
    port, relay_port, delay_s, *dots = sys.argv[1:]
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(dots[0], "wb")) if dots else None
        Proxy(int(relay_port), float(delay_s), file).serve(int(port))


if __name__ == "__main__":
    main()
