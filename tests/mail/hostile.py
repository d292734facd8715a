"""SMTP servers for tests: one that follows a script, and one that behaves.

A script is a function that is given a `Visit` and speaks for the server until it returns, which
closes the connection. `Server` runs it for every visitor, in threads, on a free loopback port.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

PATIENCE_S = 8.0
DOT = b".\r\n"


class Gone(Exception):  # noqa: N818 - the visitor left
    """The client has closed the connection, or the test is over."""


class Visit:
    """One connection as the server sees it."""

    def __init__(self, sock: socket.socket, server: "Server") -> None:
        self.sock = sock
        self.server = server
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Write all; a client that has gone ends the script."""
        try:
            self.sock.sendall(data)
        except OSError:
            raise Gone from None

    def drip(self, data: bytes, pause_s: float = 0.0) -> None:
        """Write byte by byte, each its own segment."""
        for octet in data:
            self.send(bytes([octet]))
            time.sleep(pause_s)

    def _read(self) -> bytes:
        try:
            data = self.sock.recv(65_536)
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        return data

    def line(self) -> bytes:
        """Read the client's next command, without its line end, and note it."""
        while b"\r\n" not in self._buffer:
            self._buffer += self._read()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        self.server.heard.append(line)
        return line

    def expect(self, prefix: bytes, answer: bytes) -> bytes:
        """Read a command that must begin with `prefix`, and answer it."""
        line = self.line()
        if not line.startswith(prefix):
            self.server.faults.append(f"expected {prefix!r}, heard {line[:60]!r}")
            raise Gone
        self.send(answer)
        return line

    def greet(self, *extensions: bytes) -> None:
        """Say hello and offer the extensions."""
        self.send(b"220 relay.test ready\r\n")
        self.hello(*extensions)

    def hello(self, *extensions: bytes) -> None:
        """Answer EHLO."""
        lines = [b"relay.test", *extensions]
        offers = b"".join(b"250-%s\r\n" % line for line in lines[:-1])
        self.expect(b"EHLO ", offers + b"250 %s\r\n" % lines[-1])

    def envelope(self) -> None:
        """Take everything up to the body."""
        self.expect(b"MAIL FROM:", b"250 2.1.0 Ok\r\n")
        self.expect(b"RCPT TO:", b"250 2.1.5 Ok\r\n")
        self.expect(b"DATA", b"354 End data with <CR><LF>.<CR><LF>\r\n")

    def some_body(self, octets: int) -> None:
        """Read that much of a body and leave it at that."""
        while len(self._buffer) < octets:
            self._buffer += self._read()

    def body(self) -> bytes:
        """Read a body up to its dot, and count the dot."""
        while not (self._buffer.startswith(DOT) or b"\r\n" + DOT in self._buffer):
            self._buffer += self._read()
        if self._buffer.startswith(DOT):
            body, self._buffer = b"", self._buffer.removeprefix(DOT)
        else:
            head, _, self._buffer = self._buffer.partition(b"\r\n" + DOT)
            body = head + b"\r\n"
        self.server.bodies.append(body)
        return body

    def unread(self, wait_s: float = 0.03) -> bytes:
        """Return what has come beyond what was read, in a little while."""
        self.sock.settimeout(wait_s)
        with contextlib.suppress(OSError):
            self._buffer += self.sock.recv(65_536)
        self.sock.settimeout(PATIENCE_S)
        return self._buffer

    def forget(self) -> None:
        """Throw away what has come beyond what was read."""
        self.unread()
        self._buffer = b""

    def body_at_the_end_of_a_read(self) -> None:
        """Read a body whose dot is only known where nothing stands behind it."""
        body = self._buffer
        while not body.endswith(b"\r\n" + DOT):
            body += self._read()
        self._buffer = b""
        self.server.bodies.append(body.removesuffix(DOT))

    def hang(self) -> None:
        """Say nothing more until the client gives up the letter or leaves, or the test ends."""
        while not self._read().startswith((b"QUIT\r\n", b"RSET\r\n")):
            pass

    def reset(self) -> None:
        """Close rudely."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Go over to TLS as the server."""
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True)
        except OSError:
            raise Gone from None

    def serve(self, *, refuse: dict[bytes, bytes] | None = None, delay_s: float = 0.0) -> None:
        """Behave: take letters until QUIT; `refuse` maps the beginning of a command to an answer.

        The answer to the dot is under `b"."`. Each answer is late by `delay_s`.
        """
        refuse = refuse or {}
        answers = {b"MAIL": b"250 2.1.0 Ok\r\n", b"RCPT": b"250 2.1.5 Ok\r\n"}
        accepted: set[bytes] = set()
        while True:
            line = self.line()
            time.sleep(delay_s)
            verb = line[:4]
            rude = next((refuse[start] for start in refuse if line.startswith(start)), None)
            if rude is not None:
                self.send(rude)
            elif verb == b"MAIL" and b"MAIL" in accepted:
                self.send(b"503 5.5.1 Nested MAIL command\r\n")
            elif (verb == b"RCPT" and b"MAIL" not in accepted) or (
                verb == b"DATA" and b"RCPT" not in accepted
            ):
                self.send(b"503 5.5.1 Bad sequence of commands\r\n")
            elif line == b"DATA":
                accepted.clear()
                self.send(b"354 Go on\r\n")
                self.body()
                time.sleep(delay_s)
                self.send(refuse.get(b".", b"250 2.0.0 Ok: queued\r\n"))
            elif line == b"QUIT":
                self.send(b"221 2.0.0 Bye\r\n")
                return
            else:
                accepted.add(verb)
                if line == b"RSET":
                    accepted.clear()
                self.send(answers.get(verb, b"250 2.0.0 Ok\r\n"))


Script = Callable[[Visit], None]


@dataclass
class Server:
    """Runs a script for each visitor; the last one given again for all that follow."""

    scripts: tuple[Script, ...]
    port: int = 0
    segment: int = 0
    """The largest that visitors may send, in octets; 0 as the network has it."""
    heard: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    """Bodies that were ended by a dot, and only those."""
    faults: list[str] = field(default_factory=list)
    visits: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        if self.segment:
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self.segment)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a script hangs"
        assert not self.faults, self.faults

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script = self.scripts[min(self.visits, len(self.scripts) - 1)]
            self.visits += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._receive, args=(sock, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _receive(self, sock: socket.socket, script: Script) -> None:
        visit = Visit(sock, self)
        with contextlib.suppress(Gone):
            script(visit)
        visit.sock.close()


@contextlib.contextmanager
def listening(*scripts: Script, port: int = 0, segment: int = 0) -> Iterator[Server]:
    """Run a server with one script per visitor."""
    with Server(scripts, port, segment) as server:
        yield server


def well_behaved(*extensions: bytes, delay_s: float = 0.0) -> Script:
    """Return the script of a server that takes everything."""

    def script(visit: Visit) -> None:
        visit.greet(*extensions)
        visit.serve(delay_s=delay_s)

    return script


def refusing(*extensions: bytes, **answers: str) -> Script:
    """Return the script of a server that refuses some commands: `MAIL="550 No"`, `dot="451 No"`."""
    refuse = {
        b"." if command == "dot" else command.encode(): answer.encode() + b"\r\n"
        for command, answer in answers.items()
    }

    def script(visit: Visit) -> None:
        visit.greet(*extensions)
        visit.serve(refuse=refuse)

    return script
