"""One connection to the relay: its socket, its stage, and how to speak on it."""

import contextlib
import socket
import ssl
import struct
import time
from enum import Enum, auto

from crm.mail.smtp.relay import Relay
from crm.mail.smtp.reply import Garbled, Reply, ReplyReader
from crm.mail.smtp.verdict import Verdict
from crm.mail.smtp.wait import READ, WRITE, Talk, Wait

LETTERS_PER_CONNECTION = 100
REST_LIMIT_S = 60.0
"""A line that rested longer is opened anew: what lies between may have forgotten it."""

_CHUNK = 65_536
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Lost(Exception):  # noqa: N818 - what happened on the wire, not a fault of ours
    """The server closed the connection."""


class Interrupted(Exception):  # noqa: N818
    """The server answered while it was still being spoken to."""


class Stage(Enum):
    """Where a line stands between two letters, or in the middle of one."""

    CLOSED = auto()
    IDLE = auto()
    READY = auto()
    """The body is with the server, which must discard it until the dot comes."""
    DOTTED = auto()
    LEAVING = auto()
    """QUIT is said; what still comes is of no interest."""


class Line:
    """One kept connection; opened, and opened again, by `offer`.

    After `offer` a line is either `ready` or has a `verdict`. A line belongs to one thread and to
    one process: none survives a fork.
    """

    def __init__(self, relay: Relay, *, tls: ssl.SSLContext | None = None) -> None:
        self.relay = relay
        self.tls = tls
        self.verdict: Verdict | None = None
        self.stage = Stage.CLOSED
        self.letters = 0
        self.features: dict[str, str] = {}
        self.private: tuple[str, ...] = ()
        """Words of the letter in hand that no stored text may repeat."""
        self._rested_at = 0.0
        self._owed = 0
        self._sock: socket.socket | None = None
        self._reader = ReplyReader()

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

    @property
    def sock(self) -> socket.socket:
        """The open socket. Raises: `Lost` where there is none."""
        if self._sock is None:
            raise Lost
        return self._sock

    def attach(self, sock: socket.socket) -> None:
        """Take a connected, non-blocking socket; what an earlier one said is forgotten."""
        self._sock = sock
        self._reader = ReplyReader()
        self._owed = 0
        self.letters = 0
        self.features = {}

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
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.close()
        self._sock = None
        self.stage = Stage.CLOSED

    def cut(self) -> None:
        """Close by a reset: octets that have not left yet never will."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.hang_up()

    def glance(self) -> bool:
        """Whether the server has said anything; takes it in without waiting.

        Raises: `Lost`, OSError.
        """
        try:
            data = self.sock.recv(_CHUNK)
        except _NOT_NOW:
            return self._reader.pending
        if not data:
            raise Lost
        self._reader.feed(data)
        return True

    def send_now(self, data: bytes) -> bool:
        """Whether the kernel took all of `data` at once. Raises: `Lost`, OSError."""
        try:
            return self.sock.send(data) == len(data)
        except _NOT_NOW:
            return False

    def say(self, data: bytes) -> Talk[None]:
        """Write all of `data`. Raises: `Interrupted` when the server answers before the end."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except _NOT_NOW:
                events = yield Wait(self.sock, READ | WRITE)
                if events & READ and self.glance():
                    raise Interrupted from None

    def hear(self) -> Talk[Reply]:
        """Return the next whole reply. Raises: `Garbled`, `Lost`, OSError."""
        waiting = Wait(self.sock, READ)
        while (reply := self._reader.take()) is None:
            if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
                yield waiting
            self.glance()
        return reply

    def ask(self, command: bytes) -> Talk[Reply]:
        """Say one command line and hears its reply.

        Raises: `Garbled`, `Lost`, OSError; the first also where the server has said more than it
        was asked.
        """
        while self._owed:
            if (yield from self.hear()).code // 100 != 2:
                raise Lost
            self._owed -= 1
        self.must_be_silent()
        try:
            yield from self.say(command + b"\r\n")
        except Interrupted:
            raise Garbled from None
        return (yield from self.hear())

    def must_be_silent(self) -> None:
        """Raise `Garbled` when an answer is here to a question that was not asked."""
        if self._reader.pending:
            raise Garbled

    def heard(self) -> Reply | None:
        """Return a whole reply that is here already, or None. Raises: `Garbled`."""
        return self._reader.take()

    def reset_transaction(self) -> None:
        """Say RSET without waiting: its answer is heard before the next command."""
        try:
            said = not self._reader.pending and self.send_now(b"RSET\r\n")
        except (Lost, OSError):
            said = False
        if said:
            self._owed += 1
            self.rest()
        else:
            self.hang_up()
