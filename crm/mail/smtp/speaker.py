"""What is said on an open line, and what its end means for the letters on it."""

import time
from abc import abstractmethod
from enum import Enum, auto
from math import inf
from typing import Generic

from crm.mail.smtp import patience
from crm.mail.smtp.cargo import Cargo
from crm.mail.smtp.dock import Dock, Holder, K
from crm.mail.smtp.pipe import Pipe
from crm.mail.smtp.questions import ENVELOPE, Due, Questions
from crm.mail.smtp.reply import Garbled
from crm.mail.smtp.verdict import Stage, not_handed_over, uncertain
from crm.mail.smtp.wait import Deadline
from crm.mail.smtp.watch import Watch
from crm.mail.smtp.wire import Wire, told

_LARGE = 32_768
"""A longer body waits for room behind it: the dot must not wait."""


class State(Enum):
    """What is going on."""

    RESTING = auto()
    ENVELOPE = auto()
    """Commands are said and answers due."""
    POURING = auto()
    """A body flows that is too large to go with its dot."""
    READY = auto()
    """Only the dot is wanted, with a body that is withheld; a server must discard one without."""
    INTERRUPTED = auto()
    """The server has begun to speak before the dot, which must not be written any more."""
    DOTTED = auto()
    LEAVING = auto()
    CLOSED = auto()


_BODY_WANTED = frozenset({State.POURING, State.READY, State.INTERRUPTED})


class Speaker(Holder[K], Generic[K]):
    """The half of a line that speaks; `Carrier` is the half that listens."""

    def __init__(self, wire: Wire, watch: Watch, dock: Dock[K]) -> None:
        self.deadline = inf
        self._dock = dock
        self._features = wire.features
        self._pipe = Pipe(wire, watch, self.on)
        self._cargo = Cargo(dock, self)
        self._questions = Questions()
        self._state = State.RESTING
        self._withheld = b""
        """The body that goes with its dot."""
        self._opened_at = time.monotonic()
        dock.lines.add(self)

    @abstractmethod
    def on(self, events: int) -> None:
        """Go on as far as it goes without waiting."""

    def rest(self) -> None:
        """Between two letters: take the next, leave after the hundredth, or wait."""
        if self._cargo.full:
            self._leave()
        elif not self._load():
            self._state = State.RESTING
            self._dock.resting[self] = None
            self._patience(patience.REST_LIMIT_S)

    def _pipelines(self) -> bool:
        return self._dock.pipelines and "PIPELINING" in self._features

    def _load(self, *, reset: bool = False) -> bool:
        """Begin with the next letter, RSET before it where asked for; return whether it spoke."""
        due: tuple[Due, ...] = (Due.RSET,) if reset else ()
        parcel, commands = self._cargo.next(self._features)
        if parcel is not None:
            self._cargo.front = parcel
            due += ENVELOPE
        if not due:
            return False
        self._state = State.ENVELOPE
        self._patience(patience.ENVELOPE_S)
        if reset:
            commands = b"RSET\r\n" + commands
        self._say(self._questions.put(due, commands, at_once=self._pipelines()))
        return True

    def _say(self, data: bytes) -> None:
        """Write, now or as soon as there is room; but not to a server that is speaking itself."""
        try:
            if self._pipe.left or self._pipe.reader.pending:
                raise Garbled
            taken = self._pipe.send(data)
        except (Garbled, OSError) as fault:
            self._break(fault)
            return
        if taken < len(data):
            self._pipe.leave(memoryview(data)[taken:])

    def _offer(self) -> None:
        """Let the letter in front be ready: the server wants its body; a small one is withheld."""
        if self._cargo.front is None or self._pipe.left:
            raise Garbled  # nobody's body is wanted, or not all has been said yet
        body = self._cargo.front.letter.body
        if self._dock.withholds and len(body) <= self._pipe.gulp:
            self._withheld = body
            self._now_ready()
        else:
            self._pour(body)

    def _pour(self, body: bytes) -> None:
        self._state = State.POURING
        try:
            taken = self._pipe.send(body, more=True)
        except OSError as fault:
            self._break(fault)
            return
        if taken == len(body) <= _LARGE:
            self._now_ready()
        else:
            self._patience(patience.BODY_S)
            self._pipe.leave(memoryview(body)[taken:])

    def _write(self) -> None:
        """Go on with what the kernel has not taken: there is room."""
        pouring = self._state is State.POURING
        if not self._pipe.left:
            self._pipe.watch_writing(False)
            if pouring:
                self._now_ready()
            return
        try:
            if self._pipe.go_on(more=pouring) and pouring:
                self._patience(patience.BODY_S)
        except OSError as fault:
            self._break(fault)

    def _now_ready(self) -> None:
        if self._cargo.front is not None:
            self._state = State.READY
            self.deadline = inf
            self._dock.ready[self._cargo.front.key] = self

    def _leave(self) -> None:
        self._state = State.LEAVING
        self._dock.resting.pop(self, None)
        self._dock.lines.discard(self)
        self._dock.leaving.add(self)
        self._patience(patience.FAREWELL_S)
        self._say(self._questions.put((Due.QUIT,), b"QUIT\r\n", at_once=True))

    def _break(self, fault: Exception) -> None:
        """End what the loss of the line ends."""
        words = told(fault)
        stumbled = self._has_stumbled(fault)
        if stumbled:
            self._dock.stumbled(self._opened_at, at=time.monotonic())
        if self._state is State.DOTTED:
            self._cargo.end(uncertain(words))
        elif self._state in _BODY_WANTED:
            self._cargo.end(not_handed_over(words, stage=Stage.DATA))
        self._lose(words, again=stumbled or self._cargo.letters > 1)
        self._close(cut=True)

    def _has_stumbled(self, fault: Exception) -> bool:
        """Whether it looks as if the server had lost some of what was said in one breath."""
        if not self._questions.envelope_in_one_breath:
            return False
        if isinstance(fault, Deadline):
            return self._questions.partly_answered or self._state is State.DOTTED
        return isinstance(fault, Garbled) or self._cargo.front is None

    def _lose(self, words: str, *, again: bool = True) -> None:
        """Send back what was only enveloped."""
        due = self._questions.due
        self._cargo.lose(
            not_handed_over(words, stage=due[0].stage if due else Stage.DATA), again=again
        )

    def _patience(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._dock.alarm.by(self.deadline)

    def _close(self, *, cut: bool = False) -> None:
        self._state = State.CLOSED
        self._questions.due = ()
        self.deadline = inf
        self._pipe.close(cut=cut)
        self._dock.resting.pop(self, None)
        self._dock.lines.discard(self)
        self._dock.leaving.discard(self)
