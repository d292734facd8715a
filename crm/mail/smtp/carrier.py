"""One open line and what it carries: at most a letter, and one more whose envelope is ahead of it.

The envelope of the next letter rides behind the dot of the last (RFC 2920), so that in full speed
one reading brings four answers (dot, MAIL, RCPT, DATA) and one letter costs one round trip.
"""

import re
import select
import socket
import ssl
import time
from enum import Enum, auto
from math import inf
from typing import Generic

from crm.errors import later
from crm.mail.smtp import patience
from crm.mail.smtp.dock import Dock, K, Parcel
from crm.mail.smtp.reply import Garbled, Reply
from crm.mail.smtp.verdict import Stage, Verdict, judged, not_handed_over, uncertain
from crm.mail.smtp.wait import READ, WRITE, Deadline
from crm.mail.smtp.watch import Watch
from crm.mail.smtp.wire import CHUNK, NOT_NOW, Lost, Wire, told

LETTERS_PER_CONNECTION = 100

_MORE = getattr(socket, "MSG_MORE", 0)
"""Whatever of the body does not fill a packet waits for the dot, at most a fifth of a second."""
_DOT = b".\r\n"
_LARGE = 32_768
"""A body longer than this, or one that the kernel did not take at once, waits for room behind it:
the dot must not wait."""
_TLS_RECORD = 16_384
_SMOOTH = re.compile(rb"250 ([^\r\n]*)\r\n250 [^\r\n]*\r\n250 [^\r\n]*\r\n354 [^\r\n]*\r\n")


class State(Enum):
    """What is going on."""

    RESTING = auto()
    ENVELOPE = auto()
    """Commands are said, answers are due."""
    POURING = auto()
    READY = auto()
    """The body is with the server, which must discard it until the dot comes."""
    INTERRUPTED = auto()
    """The server has begun to speak before the dot, which must not be written any more."""
    DOTTED = auto()
    LEAVING = auto()
    CLOSED = auto()


class Due(Enum):
    """An answer that the server owes."""

    RSET = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    DOT = auto()
    QUIT = auto()


_ENVELOPE = (Due.MAIL, Due.RCPT, Due.DATA)
_DOT_AND_ENVELOPE = (Due.DOT, *_ENVELOPE)
_STAGE = {
    Due.RSET: Stage.CONNECTION,
    Due.MAIL: Stage.MAIL,
    Due.RCPT: Stage.RCPT,
    Due.DATA: Stage.DATA,
    Due.DOT: Stage.DOT,
    Due.QUIT: Stage.CONNECTION,
}


class Carrier(Generic[K]):
    """An open line at work; everything that happens to its letters is written into the dock."""

    def __init__(self, wire: Wire, watch: Watch, dock: Dock[K]) -> None:
        self.deadline = inf
        self._wire, self._watch, self._dock = wire, watch, dock
        self._sock = wire.sock
        self._tls = isinstance(self._sock, ssl.SSLSocket)
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)
        self._opened_at = time.monotonic()
        self._state = State.RESTING
        self._front: Parcel[K] | None = None
        """Whose answers are due next; None where the envelope comes to nothing."""
        self._behind: Parcel[K] | None = None
        """Whose envelope was sent behind the dot of the front."""
        self._due: tuple[Due, ...] = ()
        self._asked = 0
        """How many answers were due when last something was asked."""
        self._unsaid: tuple[bytes, ...] = ()
        """Commands that wait for the answer to the one before; the answers are due already."""
        self._left = memoryview(b"")
        """What the kernel has not taken yet."""
        dock.lines.add(self)
        watch.on(self._sock, READ, self.on)

    def wake(self) -> None:
        """Begin with the next waiting letter, or close if the server has left."""
        self._dock.resting.pop(self, None)
        self._listen()
        if self._state is State.RESTING:
            self.rest()

    def rest(self) -> None:
        """Between two letters: take the next, leave after the hundredth, or wait."""
        if self._dock.closing or self._wire.letters >= LETTERS_PER_CONNECTION:
            self._leave()
        elif not self._load():
            self._state = State.RESTING
            self._dock.resting[self] = None
            self._patience(patience.REST_LIMIT_S)

    def on(self, events: int) -> None:
        """Go on as far as it goes without waiting."""
        if events & READ and self._state is not State.CLOSED:
            self._read()
        if events & WRITE and self._state is not State.CLOSED:
            self._write()

    def dot(self) -> bool:
        """Write the dot of the letter that is ready, the next envelope behind it; never waits."""
        self._listen()
        if self._state is not State.READY:
            return False
        follower, commands = self._follower()
        data = b"".join((_DOT, *commands))
        words = later("The relay does not read what it is sent.")
        try:
            taken = self._send(data)
        except OSError as fault:
            taken, words = 0, told(fault)
        if taken < len(_DOT):
            if follower is not None:
                self._dock.put_back(follower)
            self._end_front(not_handed_over(words, stage=Stage.DATA))
            self._close(cut=True)
            return False
        self._state = State.DOTTED
        self._behind = follower
        self._due = (Due.DOT,) if follower is None else _DOT_AND_ENVELOPE
        self._asked = len(self._due)
        if taken < len(data):
            self._later(memoryview(data)[taken:])
        self._patience(self._dock.patience_s)
        return True

    def late(self) -> None:
        """Bear the consequences of a deadline that has passed."""
        if self._state is State.RESTING:
            self._leave()
        else:
            self._break(Deadline())

    def give_up(self, parcel: Parcel[K]) -> None:
        """Make sure that a letter without its dot never arrives; with it, nobody knows."""
        if parcel is self._behind:
            self._behind = None
            return
        if self._state is State.DOTTED:
            self.abandon()
            return
        self._front = None
        self._dock.ready.pop(parcel.key, None)
        self._close(cut=True)

    def retire(self) -> None:
        """Take back what has no dot, and leave as soon as nothing is open."""
        taken_back = not_handed_over(later("The letter was taken back."), stage=Stage.DATA)
        if self._state is State.RESTING:
            self._leave()
        elif self._state is State.DOTTED:
            if self._behind is not None:
                self._dock.end(self._behind, taken_back)
                self._behind = None
        elif self._state is not State.LEAVING:
            self._end_front(taken_back)
            self._close(cut=True)

    def abandon(self) -> None:
        """Close whatever is open; a dot without its answer is uncertain."""
        if self._state is State.DOTTED:
            words = later("The connection was given up before the relay answered.")
            self._end_front(uncertain(words))
            self._lose(words)
        self._close(cut=self._state is not State.LEAVING)

    # Speaking.

    def _load(self, *, reset: bool = False) -> bool:
        """Begin with the next letter, RSET before it where asked for; return whether it spoke."""
        due: tuple[Due, ...] = (Due.RSET,) if reset else ()
        commands: tuple[bytes, ...] = (b"RSET\r\n",) if reset else ()
        taken = self._dock.take(self._wire.features)
        if taken is not None:
            self._front = self._board(taken[0])
            due += _ENVELOPE
            commands += taken[1]
        if due:
            self._ask(due, commands)
        return bool(due)

    def _follower(self) -> tuple[Parcel[K] | None, tuple[bytes, ...]]:
        """Return the letter whose envelope may ride behind the dot, and that envelope."""
        if self._pipelines() and self._wire.letters < LETTERS_PER_CONNECTION:
            taken = self._dock.take(self._wire.features)
            if taken is not None:
                return self._board(taken[0]), taken[1]
        return None, ()

    def _board(self, parcel: Parcel[K]) -> Parcel[K]:
        parcel.holder = self
        self._wire.letters += 1
        return parcel

    def _pipelines(self) -> bool:
        return self._dock.pipelines and "PIPELINING" in self._wire.features

    def _ask(self, due: tuple[Due, ...], commands: tuple[bytes, ...]) -> None:
        """Say all commands at once, or the first of them if the server takes one at a time."""
        self._state = State.ENVELOPE
        self._due = due
        self._patience(patience.ENVELOPE_S)
        if self._pipelines():
            self._asked = len(due)
            self._say(b"".join(commands))
        else:
            self._asked = 1
            self._unsaid = commands[1:]
            self._say(commands[0])

    def _say(self, data: bytes) -> None:
        """Write, now or as soon as there is room."""
        try:
            taken = self._send(data)
        except OSError as fault:
            self._break(fault)
            return
        if taken < len(data):
            self._later(memoryview(data)[taken:])

    def _send(self, data: bytes | memoryview, flags: int = 0) -> int:
        """Return how much the kernel took at once. Raises: OSError."""
        try:
            if self._tls:
                return self._sock.send(data[:_TLS_RECORD])
            return self._sock.send(data, flags)
        except NOT_NOW:
            return 0

    def _later(self, left: memoryview) -> None:
        self._left = left
        self._watch.on(self._sock, READ | WRITE, self.on)

    def _write(self) -> None:
        """Go on with what the kernel has not taken; there is room for it now."""
        if not self._left:
            self._watch.on(self._sock, READ, self.on)
            if self._state is State.POURING:
                self._now_ready()
            return
        pouring = self._state is State.POURING
        try:
            while self._left and (taken := self._send(self._left, _MORE if pouring else 0)):
                self._left = self._left[taken:]
                if pouring:
                    self._patience(patience.BODY_S)
        except OSError as fault:
            self._break(fault)

    def _pour(self) -> None:
        """Send the body of the front: the server wants it."""
        if self._front is None or self._left:
            raise Garbled  # it answered what it has not heard yet
        body = self._front.letter.body
        self._state = State.POURING
        try:
            taken = self._send(body, _MORE)
        except OSError as fault:
            self._break(fault)
            return
        if taken == len(body) <= _LARGE:
            self._now_ready()
        else:
            self._patience(patience.BODY_S)
            self._later(memoryview(body)[taken:])

    def _now_ready(self) -> None:
        if self._front is not None:
            self._state = State.READY
            self.deadline = inf
            self._dock.ready[self._front.key] = self

    # Hearing.

    def _listen(self) -> None:
        """Take in what the server has said by now."""
        if self._tls or self._poll.poll(0):
            self._read()

    def _read(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
            while isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                data += self._sock.recv(CHUNK)
        except NOT_NOW:
            return
        except OSError as fault:
            self._break(fault)
            return
        if not data:
            self._break(Lost())
        elif self._smooth() and (found := _SMOOTH.fullmatch(data)):
            self._sail_on(found[1])
        else:
            self._wire.reader.feed(data)
            self._hear()

    def _smooth(self) -> bool:
        """Whether the four answers of full speed are due, and nothing else is in the way."""
        return (
            self._due is _DOT_AND_ENVELOPE
            and self._behind is not None
            and not self._left
            and not self._wire.reader.pending
        )

    def _sail_on(self, text: bytes) -> None:
        """Do at once what the four good answers would do one by one."""
        self._conclude(Reply(250, (text,)))
        self._due = ()
        self._pour()

    def _hear(self) -> None:
        """Act upon all whole replies that are here."""
        reader = self._wire.reader
        try:
            while self._due and (reply := reader.take()) is not None:
                due, self._due = self._due[0], self._due[1:]
                self._answered(due, reply)
            if reader.pending and not self._due and self._state is not State.CLOSED:
                self._unasked()
        except Garbled as fault:
            self._break(fault)

    def _answered(self, due: Due, reply: Reply) -> None:
        if due is Due.QUIT:
            self._close()
        elif due is Due.DOT:
            self._conclude(reply)
        elif reply.code == 421:
            self._dismissed(due, reply)
        elif due is Due.RSET:
            if reply.code // 100 != 2:
                raise Garbled  # in what transaction are we?
            self._go_on()
        elif self._front is None:
            self._come_to_nothing(due, reply)
        else:
            self._enveloped(due, reply)

    def _enveloped(self, due: Due, reply: Reply) -> None:
        """Take an answer to MAIL, RCPT or DATA of the letter in front."""
        if reply.code // 100 in (4, 5):
            self._refused(due, reply)
        elif due is Due.DATA and reply.code == 354:
            self._pour()
        elif due is not Due.DATA and reply.code // 100 == 2:
            self._go_on()
        else:
            raise Garbled

    def _go_on(self) -> None:
        """Say the next command after a good answer, or wait for the next, or rest."""
        self._patience(patience.ENVELOPE_S)
        if self._unsaid:
            if self._wire.reader.pending:
                raise Garbled
            command, *rest = self._unsaid
            self._unsaid = tuple(rest)
            self._say(command)
        elif not self._due:
            self.rest()

    def _conclude(self, reply: Reply) -> None:
        """Take the answer to the dot."""
        if self._front is None or reply.code // 100 == 3:
            raise Garbled
        self._end_front(self._judged(Due.DOT, reply))
        self._front, self._behind = self._behind, None
        self._state = State.ENVELOPE
        if reply.code == 421:
            self._lose(later("The relay closed the connection."))
            self._close()
        else:
            self._go_on()

    def _refused(self, due: Due, reply: Reply) -> None:
        """End the letter; what was asked for it beyond is still answered, and comes to nothing."""
        self._end_front(self._judged(due, reply))
        if self._unsaid:
            self._unsaid, self._due = (), ()
        if not self._due:
            self._reset()

    def _come_to_nothing(self, due: Due, reply: Reply) -> None:
        """Bring to its end an envelope whose letter was refused or taken back."""
        if due is not Due.DATA:
            self._go_on()
        elif reply.code // 100 not in (4, 5):
            self._close(cut=True)  # a dot would hand over an empty letter
        else:
            self._reset()

    def _reset(self) -> None:
        """Leave the transaction; whoever waits is told of in the same breath."""
        if self._dock.closing or self._wire.letters >= LETTERS_PER_CONNECTION:
            self._leave()
        else:
            self._load(reset=True)

    def _dismissed(self, due: Due, reply: Reply) -> None:
        """Close: the server is leaving. A kept line that it only tires of blames no letter."""
        if self._front is not None:
            front, verdict = self._front, self._judged(due, reply)
            self._front = None
            if due in (Due.RSET, Due.MAIL) and self._wire.letters > 1:
                self._dock.try_again(front, verdict)
            else:
                self._dock.end(front, verdict)
        self._close()

    def _judged(self, due: Due, reply: Reply) -> Verdict:
        private = self._front.letter.private() if self._front else ()
        return judged(reply, stage=_STAGE[due], private=private)

    def _unasked(self) -> None:
        """Hear what the server says without being asked. Raises: `Garbled`."""
        if self._state in (State.POURING, State.READY) and self._front is not None:
            self._dock.ready.pop(self._front.key, None)
            self._state = State.INTERRUPTED
            self._left = memoryview(b"")
            self._watch.on(self._sock, READ, self.on)
            self._patience(patience.ENVELOPE_S)
        if self._state is not State.INTERRUPTED:
            self._close()
        elif (reply := self._wire.reader.take()) is not None:
            if reply.code // 100 in (4, 5):
                self._end_front(self._judged(Due.DATA, reply))
            else:
                words = later("The relay answered before the letter was complete.")
                self._end_front(not_handed_over(words, stage=Stage.DATA))
            self._close(cut=True)

    # Ending.

    def _leave(self) -> None:
        self._state = State.LEAVING
        self._dock.resting.pop(self, None)
        self._dock.lines.discard(self)
        self._dock.leaving.add(self)
        self._due = (Due.QUIT,)
        self._patience(patience.FAREWELL_S)
        self._say(b"QUIT\r\n")

    def _break(self, fault: Exception) -> None:
        """End what the loss of the line ends."""
        words = told(fault)
        stumbled = self._has_stumbled(fault)
        if stumbled:
            self._dock.stumbled(self._opened_at, at=time.monotonic())
        if self._state is State.DOTTED:
            self._end_front(uncertain(words))
        elif self._state in (State.POURING, State.READY, State.INTERRUPTED):
            self._end_front(not_handed_over(words, stage=Stage.DATA))
        self._lose(words, again=stumbled or self._wire.letters > 1)
        self._close(cut=True)

    def _has_stumbled(self, fault: Exception) -> bool:
        """Whether it looks as if the server had lost some of the commands said in one breath."""
        if self._asked < 2 or self._due[-1:] != (Due.DATA,):
            return False
        if isinstance(fault, Deadline):
            return len(self._due) < self._asked or self._state is State.DOTTED
        return isinstance(fault, Garbled) or self._front is None

    def _lose(self, words: str, *, again: bool = True) -> None:
        """Send back the letter that was only enveloped."""
        stage = _STAGE[self._due[0]] if self._due else Stage.DATA
        verdict = not_handed_over(words, stage=stage)
        for parcel in (self._front, self._behind):
            if parcel is not None and again:
                self._dock.try_again(parcel, verdict)
            elif parcel is not None:
                self._dock.end(parcel, verdict)
        self._front = self._behind = None

    def _end_front(self, verdict: Verdict) -> None:
        if self._front is not None:
            self._dock.ready.pop(self._front.key, None)
            self._dock.end(self._front, verdict)
            self._front = None

    def _patience(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._dock.alarm.by(self.deadline)

    def _close(self, *, cut: bool = False) -> None:
        self._state = State.CLOSED
        self._due = ()
        self.deadline = inf
        self._watch.off()
        if cut:
            self._wire.cut()
        else:
            self._wire.hang_up()
        self._dock.resting.pop(self, None)
        self._dock.lines.discard(self)
        self._dock.leaving.discard(self)
