"""Reading and writing on an open line without ever waiting."""

import socket
import ssl

from crm.mail.smtp.wait import READ, WRITE
from crm.mail.smtp.watch import OnEvents, Watch
from crm.mail.smtp.wire import CHUNK, NOT_NOW, Lost, Wire

_MORE = getattr(socket, "MSG_MORE", 0)
_TLS_RECORD = 16_384
_SMALL = 65_536
_COST = 6
"""Octets of its room that a kernel may count for one that is sent, packets being small."""
_NOTHING = memoryview(b"")


class Pipe:
    """The socket of an open line, what it has not taken yet, and its place in the selector."""

    def __init__(self, wire: Wire, watch: Watch, on: OnEvents) -> None:
        self.reader = wire.reader
        self.left = _NOTHING
        """What the kernel has not taken yet."""
        self._wire, self._watch, self._on = wire, watch, on
        self._sock = wire.sock
        self._tls = self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        self.gulp = 0 if self._tls else _gulp(self._sock)
        """Octets that an empty pipe takes at once; none for certain where they are encrypted."""
        self.watch_writing(False)

    def read(self) -> bytes:
        """Return what is here, perhaps nothing. Raises: `Lost`, OSError."""
        try:
            data = self._sock.recv(CHUNK)
        except NOT_NOW:
            return b""
        while self._tls is not None and self._tls.pending():
            data += self._tls.recv(CHUNK)
        if not data:
            raise Lost
        return data

    def send(self, data: bytes | memoryview, *, more: bool = False) -> int:
        """Return how many octets the kernel took. Raises: OSError.

        With `more`, what does not fill a packet waits for what is sent next, but not for longer
        than a fifth of a second: body and dot arrive together.
        """
        try:
            if self._tls is not None:
                return self._tls.send(data[:_TLS_RECORD])
            return self._sock.send(data, _MORE if more else 0)
        except NOT_NOW:
            return 0

    def send_with(self, body: bytes, end: bytes) -> int:
        """Send both by one system call; return how many octets the kernel took. Raises: OSError."""
        if not body:
            return self.send(end)
        try:
            return self._sock.sendmsg((body, end))
        except NOT_NOW:
            return 0

    def leave(self, left: memoryview) -> None:
        """Send this when there is room."""
        self.left = left
        self.watch_writing(True)

    def go_on(self, *, more: bool) -> bool:
        """Send what is left as far as there is room; return whether any was. Raises: OSError."""
        before = len(self.left)
        while self.left and (taken := self.send(self.left, more=more)):
            self.left = self.left[taken:]
        return len(self.left) < before

    def hush(self) -> None:
        """Send nothing more of what is left."""
        self.left = _NOTHING
        self.watch_writing(False)

    def watch_writing(self, wanted: bool) -> None:
        """Ask to be told when there is room, or not."""
        self._watch.on(self._sock, READ | WRITE if wanted else READ, self._on)

    def close(self, *, cut: bool) -> None:
        """Close; with `cut`, what has not left yet never will."""
        self._watch.off()
        self.left = _NOTHING
        if cut:
            self._wire.cut()
        else:
            self._wire.hang_up()


def _gulp(sock: socket.socket) -> int:
    return min(_SMALL, sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // _COST)
