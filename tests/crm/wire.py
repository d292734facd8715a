"""The wire between the product and PostgreSQL: its words counted, and cut before one of them.

A word is what the server answers at once: a simple query, or all that ends with a Sync. So the
number of words is that of round trips, whatever layers said them.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

from sqlalchemy import URL, make_url

ENDS_A_WORD = (b"Q", b"S")
"""Query and Sync. Source: PostgreSQL's documentation, 54.7 Message Formats."""


class Wire:
    """A server that passes on to ``to`` what is said to it."""

    def __init__(self, to: URL) -> None:
        self.words = 0
        self._to = (to.host or "", to.port or 5432)
        self._turn: int | None = None
        self._for_good = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def cut_before(self, turn: int | None, *, for_good: bool = False) -> None:
        """End the connection before the ``turn``-th word from now; let nobody in after it.

        None: never, and let everybody in.
        """
        self.words, self._turn, self._for_good = 0, turn, for_good

    def cut(self) -> None:
        """End all connections now."""
        for near in tuple(self._open):
            with contextlib.suppress(OSError):  # it has ended by itself
                near.shutdown(socket.SHUT_RDWR)

    @property
    def is_cut(self) -> bool:
        return self._turn is not None and self.words >= self._turn

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                if self._for_good and self.is_cut:
                    here.close()
                else:
                    there = socket.create_connection(self._to)
                    for end in (here, there):
                        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._speak, args=(here, there), daemon=True).start()
                    threading.Thread(target=_carry, args=(there, here), daemon=True).start()

    def _speak(self, here: socket.socket, there: socket.socket) -> None:
        """Pass on message by message, the nameless first one too; end both when one has ended."""
        self._open.add(here)
        with here, there, here.makefile("rb") as said, contextlib.suppress(OSError):
            head = said.read(4)
            while head:
                there.sendall(head + said.read(int.from_bytes(head[-4:]) - 4))
                head = said.read(5)
                if head[:1] in ENDS_A_WORD:
                    self.words += 1
                    if self.words == self._turn:
                        break
            for end in (here, there):
                end.shutdown(socket.SHUT_RDWR)
        self._open.discard(here)


def _carry(there: socket.socket, here: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while heard := there.recv(65536):
            here.sendall(heard)
        here.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire(database: str) -> Iterator[tuple[Wire, str]]:
    """Lay a wire to this database, in plain; yield it with the URL at its end."""
    url = make_url(database)
    laid = Wire(url)
    plain = {"sslmode": "disable", "gssencmode": "disable"}
    near = url.set(host="127.0.0.1", port=laid.port).update_query_dict(plain)
    try:
        yield laid, near.render_as_string(hide_password=False)
    finally:
        laid.close()
