"""What wakes a fleet: a socket that stirs, a deadline that passes."""

import selectors
import socket
from collections.abc import Callable
from math import inf
from typing import Protocol

OnEvents = Callable[[int], None]


class Watch:
    """One socket's place in a selector, changed only where the wish changes.

    Remembers the descriptor, which may be closed, and even another's, when it is forgotten.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._sock: socket.socket | None = None
        self._fd = -1
        self._wish: tuple[int, OnEvents] | None = None

    def on(self, sock: socket.socket, events: int, then: OnEvents) -> None:
        """Have `then` called with the events that come."""
        wish = (events, then)
        if sock is not self._sock:
            self.off()
            self._sock, self._fd = sock, sock.fileno()
            self._selector.register(self._fd, events, then)
        elif wish != self._wish:
            self._selector.modify(self._fd, events, then)
        self._wish = wish

    def off(self) -> None:
        """Forget the socket, which may be closed already: hence by number."""
        if self._sock is not None:
            self._selector.unregister(self._fd)
        self._sock, self._fd, self._wish = None, -1, None


class Timed(Protocol):
    """Something that must not take longer than until its deadline."""

    deadline: float

    def late(self) -> None:
        """Bear the consequences of a deadline that has passed."""


class Alarm:
    """A time that no deadline is earlier than; on the monotonic clock."""

    def __init__(self) -> None:
        self.at = inf

    def by(self, deadline: float) -> None:
        """Be called at the deadline, or earlier."""
        if deadline < self.at:
            self.at = deadline
