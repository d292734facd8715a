"""Many conversations in one thread: each waits for its socket, none for another."""

import selectors
import socket
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TypeVar

T = TypeVar("T")

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

BEAT_EVERY_S = 4.0


class Deadline(Exception):  # noqa: N818 - what happened on the wire, not a fault of ours
    """Thrown into a conversation whose time is up."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a conversation waits for.

    Without a socket it is a pause until `until`; with one, `until` (on the monotonic clock) ends
    the waiting earlier than the deadline of all.
    """

    sock: socket.socket | None
    events: int
    until: float = inf


Talk = Generator[Wait, int, T]
"""A conversation: yields what it waits for, is sent the events that came, returns its outcome."""


@dataclass(eq=False, slots=True)
class _Task:
    talk: Talk[None]
    wait: Wait = field(default_factory=lambda: Wait(None, 0))
    sock: socket.socket | None = None
    fd: int = -1
    events: int = 0

    @property
    def pausing(self) -> bool:
        return self.wait.sock is None


def drive(talks: Iterable[Talk[None]], *, deadline: float, beat: Callable[[], object]) -> None:
    """Run all conversations to their ends, those that are late by throwing `Deadline` at them.

    `beat` is called about every four seconds of waiting. What it raises ends the drive: the
    conversations still running are closed where they stand.
    """
    with selectors.DefaultSelector() as selector:
        board = _Switchboard(selector)
        try:
            for talk in talks:
                board.begin(talk)
            beat_at = time.monotonic() + BEAT_EVERY_S
            while board.tasks:
                board.listen(min(deadline, beat_at))
                if time.monotonic() >= beat_at:
                    beat()
                    beat_at = time.monotonic() + BEAT_EVERY_S
                board.wake(deadline)
        finally:
            for task in board.tasks:
                task.talk.close()


class _Switchboard:
    """The conversations still running and what each waits for."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.tasks: set[_Task] = set()
        self._selector = selector

    def begin(self, talk: Talk[None]) -> None:
        """Run a conversation to its first wait."""
        task = _Task(talk)
        self.tasks.add(task)
        self._advance(task, partial(next, talk))

    def listen(self, until: float) -> None:
        """Wait for events, not longer than `until` or the first end of a single wait."""
        due = min(until, min(task.wait.until for task in self.tasks))
        for key, events in self._selector.select(max(0.0, due - time.monotonic())):
            self._advance(key.data, partial(key.data.talk.send, events))

    def wake(self, deadline: float) -> None:
        """End the pauses that are over and the patience with those that are late."""
        now = time.monotonic()
        for task in [task for task in self.tasks if now >= min(deadline, task.wait.until)]:
            if task.pausing and now < deadline:
                self._advance(task, partial(task.talk.send, 0))
            else:
                self._advance(task, partial(task.talk.throw, Deadline()))

    def _advance(self, task: _Task, step: Callable[[], Wait]) -> None:
        try:
            task.wait = step()
        except StopIteration:
            self.tasks.discard(task)
            self._forget(task)
        else:
            self._register(task)

    def _register(self, task: _Task) -> None:
        """Keep the registration that stands where it fits: most waits are the same again."""
        wait = task.wait
        if wait.sock is task.sock:
            if wait.sock is not None and wait.events != task.events:
                self._selector.modify(task.fd, wait.events, task)
                task.events = wait.events
            return
        self._forget(task)
        if wait.sock is not None:
            task.sock, task.fd, task.events = wait.sock, wait.sock.fileno(), wait.events
            self._selector.register(task.fd, task.events, task)

    def _forget(self, task: _Task) -> None:
        if task.sock is not None:
            self._selector.unregister(task.fd)  # by number: the socket may be closed by now
            task.sock, task.fd = None, -1
