"""Conversations that can be left and taken up again: each says what it waits for."""

import selectors
import socket
from collections.abc import Generator
from dataclasses import dataclass
from math import inf
from typing import TypeVar

T = TypeVar("T")

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Deadline(Exception):  # noqa: N818 - what happened on the wire, not a fault of ours
    """Thrown into a conversation whose time is up."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a conversation waits for, at most until `until` on the monotonic clock.

    Without a socket it is a pause, which ends well; with one, the end is a `Deadline`.
    """

    sock: socket.socket | None
    events: int
    until: float = inf


Talk = Generator[Wait, int, T]
"""A conversation: yields what it waits for, is sent the events that came, returns its outcome."""
