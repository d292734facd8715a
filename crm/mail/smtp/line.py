"""One kept connection of a window: its stage, and what it still owes."""

import contextlib
import socket
import ssl
import time
from enum import Enum, auto
from math import inf

from crm.mail.smtp.relay import Relay
from crm.mail.smtp.reply import Reply
from crm.mail.smtp.verdict import Verdict
from crm.mail.smtp.wait import Talk
from crm.mail.smtp.wire import NOT_NOW, Interrupted, Lost, Wire

__all__ = ["Interrupted", "Line", "Lost", "Stage"]

LETTERS_PER_CONNECTION = 100
REST_LIMIT_S = 60.0
"""A line that rested longer is opened anew: what lies between may have forgotten it."""


class Stage(Enum):
    """Where a line stands between two letters, or in the middle of one."""

    CLOSED = auto()
    IDLE = auto()
    READY = auto()
    """The body is with the server, which must discard it until the dot comes."""
    DOTTED = auto()
    LEAVING = auto()
    """QUIT is said; what still comes is of no interest."""


class Line(Wire):
    """One kept connection; opened, and opened again, by `offer`.

    After `offer` a line is either `ready` or has a `verdict`. A line belongs to one thread and to
    one process: none survives a fork.
    """

    def __init__(self, relay: Relay, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(relay, tls=tls)
        self.verdict: Verdict | None = None
        self.stage = Stage.CLOSED
        self.letters = 0
        self.private: tuple[str, ...] = ()
        """Words of the letter in hand that no stored text may repeat."""
        self._rested_at = 0.0
        self._owed = 0

    def __repr__(self) -> str:
        return f"<Line {self.relay.host}:{self.relay.port} {self.stage.name.lower()}>"

    @property
    def ready(self) -> bool:
        """Whether the server holds a body that only lacks its dot."""
        return self.stage is Stage.READY

    @property
    def dotted(self) -> bool:
        """Whether a dot is written and its answer not gathered yet."""
        return self.stage is Stage.DOTTED

    def attach(self, sock: socket.socket) -> None:
        """Take a connected, non-blocking socket; what an earlier one said is forgotten."""
        super().attach(sock)
        self._owed = 0
        self.letters = 0

    def rest(self) -> None:
        """End a letter: the line waits for the next, or takes its leave after the hundredth."""
        self.stage = Stage.IDLE
        self._rested_at = time.monotonic()
        if self.letters >= LETTERS_PER_CONNECTION:
            self.stage = Stage.LEAVING
            with contextlib.suppress(OSError):
                self.sock.send(b"QUIT\r\n")

    def is_fresh(self) -> bool:
        """Whether the next letter may go over this connection, as far as can be seen from here."""
        if self.stage is not Stage.IDLE or time.monotonic() - self._rested_at > REST_LIMIT_S:
            return False
        try:
            return bool(self._owed) or not self.glance()
        except (Lost, OSError):
            return False

    def hang_up(self) -> None:
        """Close; octets already written may still be delivered."""
        super().hang_up()
        self.stage = Stage.CLOSED

    def send_now(self, data: bytes) -> bool:
        """Whether the kernel took all of `data` at once. Raises: `Lost`, OSError."""
        try:
            return self.sock.send(data) == len(data)
        except NOT_NOW:
            return False

    def hear(self, *, patience_s: float = inf) -> Talk[Reply]:
        """Return the next whole reply. Raises: `Garbled`, `Lost`, OSError."""
        return (yield from super().hear(patience_s=patience_s))

    def ask(self, command: bytes) -> Talk[Reply]:
        """Say one command line and hear its reply, after those that are still owed."""
        while self._owed:
            if (yield from self.hear()).code // 100 != 2:
                raise Lost
            self._owed -= 1
        return (yield from super().ask(command))

    def heard(self) -> Reply | None:
        """Return a whole reply that is here already, or None. Raises: `Garbled`."""
        return self.reader.take()

    def reset_transaction(self) -> None:
        """Say RSET without waiting: its answer is heard before the next command."""
        try:
            said = not self.reader.pending and self.send_now(b"RSET\r\n")
        except (Lost, OSError):
            said = False
        if said:
            self._owed += 1
            self.rest()
        else:
            self.hang_up()
