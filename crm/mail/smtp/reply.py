"""What an SMTP server says: bytes in any fragments become whole replies."""

import re
from typing import NamedTuple

LINE_LIMIT = 4096
"""Octets of one reply line; RFC 5321 4.5.3.1.5 asks for 512, servers write more."""

REPLY_LIMIT = 65_536
"""Octets of one whole reply, so that a babbling server cannot fill the memory."""

_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")


class Garbled(Exception):  # noqa: N818 - what happened on the wire, not a fault of ours
    """The server does not speak SMTP any more; nothing that follows can be trusted."""


class Reply(NamedTuple):
    """One reply, all its lines without code and line end, as the server wrote them.

    The text may hold anything, the recipient's address among it: show it only through `Verdict`.
    """

    code: int
    lines: tuple[bytes, ...]

    def parted(self) -> tuple[str | None, str]:
        """Return the enhanced code, and all lines as one, each without its enhanced code.

        The RFC 3463 code is that of the first line, where its class agrees with the reply's.
        """
        enhanced, text = _parted(self.lines[0])
        if enhanced and int(enhanced[0]) != self.code // 100:
            enhanced = None
        if len(self.lines) > 1:
            text = " ".join([text, *[_parted(line)[1] for line in self.lines[1:]]])
        return enhanced, text

    @property
    def text(self) -> str:
        """All lines as one, each without its enhanced code."""
        return self.parted()[1]


def _parted(line: bytes) -> tuple[str | None, str]:
    """Return a line's enhanced code, if it has one, and the rest."""
    text = line.decode("utf-8", "replace")
    found = _ENHANCED.match(text)
    return (found[1], text[found.end() :]) if found else (None, text)


class ReplyReader:
    """Collects octets and hands out whole replies; keeps its place between calls."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = 0
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def pending(self) -> bool:
        """Whether something is held that no reply has been made of yet."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Take what the socket gave."""
        self._buffer += data

    def take(self) -> Reply | None:
        """Return the next whole reply, or None when more octets are needed.

        Raises: `Garbled`, after which the reader must not be used again.
        """
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if self._last(line):
                reply = Reply(self._code, tuple(self._lines))
                self._lines.clear()
                self._size = 0
                return reply
        if len(self._buffer) > LINE_LIMIT:
            raise Garbled
        return None

    def _last(self, line: bytes) -> bool:
        """Add a line to the reply; return whether it was its last."""
        self._size += len(line)
        found = _LINE.fullmatch(line)
        if not found or len(line) > LINE_LIMIT or self._size > REPLY_LIMIT:
            raise Garbled
        code = int(found[1])
        if self._lines and code != self._code:
            raise Garbled
        self._code = code
        self._lines.append(found[3] or b"")
        return found[2] != b"-"
