"""One letter of the product as it is on the wire, for its size."""

import email
import email.policy
from dataclasses import dataclass

from sqlalchemy import Engine

from bench.rig.product import running
from devtools.catcher import Sink

ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Size:
    """Octets of one letter."""

    on_the_wire: int
    """To a server without 8BITMIME."""
    as_8bit: int
    """With the transfer encoding of its parts undone: what it costs where 8BITMIME is offered."""


def a_letter(engine: Engine) -> bytes:
    """Return one of a few that the product sends into a catcher."""
    with Sink() as catcher, running(engine, catcher.url, warm_up=ENOUGH):
        return catcher.messages()[0].raw


def size_of_a_letter(engine: Engine) -> Size:
    """Measure one letter."""
    raw = a_letter(engine)
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    saved = 0
    for part in letter.walk():
        if not part.is_multipart():
            packed = str(part.get_payload())
            saved += len(packed.encode("utf-8", "surrogateescape"))
            saved -= len(part.get_content().encode())
    return Size(on_the_wire=len(raw), as_8bit=len(raw) - saved)
