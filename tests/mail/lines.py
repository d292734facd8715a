"""Lines to a hostile server, and a letter handed over on one of them."""

import contextlib
import ssl
import time
from collections.abc import Iterator

from crm.mail.smtp import Letter, Line, Relay, Verdict, close, dot, offer, replies
from tests.mail.hostile import LETTER, Server


def no_beat() -> None:
    return None


@contextlib.contextmanager
def lines_to(
    server: Server, count: int = 1, *, tls: ssl.SSLContext | None = None, url: str = ""
) -> Iterator[list[Line]]:
    """Give closed lines to the server, and close them again at the end."""
    relay = Relay.from_url((url or "smtp://127.0.0.1:{port}").format(port=server.port))
    lines = [Line(relay, tls=tls) for _ in range(count)]
    try:
        yield lines
    finally:
        close(lines)


def hand_over(
    line: Line, letter: Letter = LETTER, *, timeout_s: float = 3.0, look_s: float = 0.0
) -> bool:
    """Offer, look for `look_s`, dot, gather; return whether the dot was written."""
    offer([(line, letter)], timeout_s=timeout_s, beat=no_beat)
    time.sleep(look_s)
    dotted = dot(line)
    replies([line], timeout_s=timeout_s, beat=no_beat)
    return dotted


def verdict_of(line: Line) -> Verdict:
    """Return the line's verdict, which must be there."""
    assert line.verdict is not None
    return line.verdict
