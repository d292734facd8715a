"""One connection to the relay: its socket, what it offers, and how to speak on it."""

import contextlib
import socket
import ssl
import struct
import time

from crm.errors import later
from crm.mail.smtp import patience
from crm.mail.smtp.relay import Relay
from crm.mail.smtp.reply import Garbled, Reply, ReplyReader
from crm.mail.smtp.wait import READ, WRITE, Deadline, Talk, Wait

CHUNK = 16_384
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Lost(Exception):  # noqa: N818 - what happened on the wire, not a fault of ours
    """The server closed the connection."""


class Wire:
    """A connection and what has been read from it; belongs to one thread and one process."""

    def __init__(self, relay: Relay, *, tls: ssl.SSLContext | None = None) -> None:
        self.relay = relay
        self.tls = tls
        self.features: dict[str, str] = {}
        self.reader = ReplyReader()
        self._sock: socket.socket | None = None

    @property
    def sock(self) -> socket.socket:
        """The open socket. Raises: `Lost` where there is none."""
        if self._sock is None:
            raise Lost
        return self._sock

    def attach(self, sock: socket.socket) -> None:
        """Take a connected, non-blocking socket; what an earlier one said is forgotten."""
        self._sock = sock
        self.reader = ReplyReader()
        self.features = {}

    def hang_up(self) -> None:
        """Close; octets already written may still be delivered."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.close()
        self._sock = None

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
            data = self.sock.recv(CHUNK)
        except NOT_NOW:
            return self.reader.pending
        if not data:
            raise Lost
        self.reader.feed(data)
        return True

    def say(self, data: bytes) -> Talk[None]:
        """Write all of `data`. Raises: `Garbled` when the server answers before the end."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except NOT_NOW:
                events = yield Wait(self.sock, READ | WRITE)
                if events & READ and self.glance():
                    raise Garbled from None

    def hear(self, *, patience_s: float) -> Talk[Reply]:
        """Return the next whole reply. Raises: `Garbled`, `Lost`, OSError."""
        waiting = Wait(self.sock, READ, time.monotonic() + patience_s)
        while (reply := self.reader.take()) is None:
            if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
                yield waiting
            self.glance()
        return reply

    def ask(self, command: bytes) -> Talk[Reply]:
        """Say one command line and hear its reply.

        Raises: `Garbled`, `Lost`, OSError; the first also where the server has said more than it
        was asked.
        """
        self.must_be_silent()
        yield from self.say(command + b"\r\n")
        return (yield from self.hear(patience_s=patience.TALK_S))

    def must_be_silent(self) -> None:
        """Raise `Garbled` when an answer is here to a question that was not asked."""
        if self.reader.pending:
            raise Garbled


def told(fault: Exception) -> str:
    """Say in words why a conversation broke off."""
    if isinstance(fault, Deadline):
        return later("The relay did not answer in time.")
    if isinstance(fault, Garbled):
        return later("The relay's answer could not be understood.")
    return later("The relay closed the connection.")
