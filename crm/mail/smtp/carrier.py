"""One open line at work.

The envelope of the next letter rides behind the dot of the last (RFC 2920), so that in full speed
one reading brings four answers (dot, MAIL, RCPT, DATA) and one letter costs one round trip.

A small body is withheld until its dot and goes with it, and with the next envelope, by one system
call: one call less for us, and for the server one waking less. What is promised stays the same: a
letter is handed over when the kernel has its dot, which the server may get at any time from then
on, and never before. That the kernel takes all of it is certain enough to build upon: the server
has answered whatever was sent, so its room is empty, and large enough by far (`Pipe.gulp`). Where
it does not, the line is cut with the dot not whole, and the fleet withholds no bodies any more.
The price: a server lost in the middle of a small body has its dot coming; that is uncertain.
"""

import re
from typing import Generic

from crm.errors import later
from crm.mail.smtp import patience
from crm.mail.smtp.dock import K, Parcel
from crm.mail.smtp.questions import DOT_AND_ENVELOPE, Due
from crm.mail.smtp.reply import LINE_LIMIT, Garbled, Reply
from crm.mail.smtp.speaker import Speaker, State
from crm.mail.smtp.verdict import Stage, not_handed_over, uncertain
from crm.mail.smtp.wait import READ, WRITE, Deadline
from crm.mail.smtp.wire import Lost, told

_DOT = b".\r\n"
_SMOOTH = re.compile(rb"250 ([^\r\n]*)\r\n250 [^\r\n]*\r\n250 [^\r\n]*\r\n354 [^\r\n]*\r\n")


class Carrier(Speaker[K], Generic[K]):
    """Carries letters from the dock over one line, and writes into the dock what became of them."""

    def wake(self) -> None:
        """Begin with the next waiting letter, or close if the server has left."""
        self._dock.resting.pop(self, None)
        self._read()
        if self._state is State.RESTING:
            self.rest()

    def on(self, events: int) -> None:
        """Go on as far as it goes without waiting."""
        if events & READ and self._state is not State.CLOSED:
            self._read()
        if events & WRITE and self._state is not State.CLOSED:
            self._write()

    def dot(self) -> bool:
        """Write the dot of the letter that is ready, the next envelope behind it; never waits.

        Whoever asks for it has just listened: a server that speaks before the dot gets none.
        """
        if self._state is not State.READY:
            return False
        follower, envelope = self._cargo.next(self._features) if self._pipelines() else (None, b"")
        body, end = self._withheld, _DOT + envelope
        try:
            taken = self._pipe.send_with(body, end) - len(body)
        except OSError as fault:
            return self._undotted(follower, told(fault))
        if taken < len(_DOT):
            self._dock.withholds = False
            return self._undotted(follower, later("The relay does not read what it is sent."))
        self._withheld = b""
        self._state = State.DOTTED
        self._cargo.behind = follower
        self._questions.put(DOT_AND_ENVELOPE if follower else (Due.DOT,), envelope, at_once=True)
        if taken < len(end):
            self._pipe.leave(memoryview(end)[taken:])
        self._patience(self._dock.patience_s)
        return True

    def _undotted(self, follower: Parcel[K] | None, words: str) -> bool:
        """Cut the line whose dot is not whole in the kernel; return False."""
        if follower is not None:
            self._dock.put_back(follower)
        self._cargo.end(not_handed_over(words, stage=Stage.DATA))
        self._close(cut=True)
        return False

    def late(self) -> None:
        """Bear the consequences of a deadline that has passed."""
        if self._state is State.RESTING:
            self._leave()
        else:
            self._break(Deadline())

    def give_up(self, parcel: Parcel[K]) -> None:
        """Make sure that a letter without its dot never arrives; with it, nobody knows."""
        if self._state is not State.DOTTED:
            self._cargo.forget(parcel)
            self._close(cut=True)
        elif parcel is self._cargo.behind:
            self._cargo.forget(parcel)
        else:
            self.abandon()

    def retire(self) -> None:
        """Take back what has no dot, and leave as soon as nothing is open."""
        taken_back = not_handed_over(later("The letter was taken back."), stage=Stage.DATA)
        if self._state is State.RESTING:
            self._leave()
        elif self._state is State.DOTTED:
            if (behind := self._cargo.behind) is not None:
                self._cargo.forget(behind)
                self._dock.end(behind, taken_back)
        elif self._state is not State.LEAVING:
            self._cargo.end(taken_back)
            self._close(cut=True)

    def abandon(self) -> None:
        """Close whatever is open; a dot without its answer is uncertain."""
        if self._state is State.DOTTED:
            words = later("The connection was given up before the relay answered.")
            self._cargo.end(uncertain(words))
            self._lose(words)
        self._close(cut=self._state is not State.LEAVING)

    # Hearing.

    def _read(self) -> None:
        """Take in what the server has said by now."""
        try:
            data = self._pipe.read()
            if self._is_smooth() and (found := _SMOOTH.fullmatch(data)) and len(data) < LINE_LIMIT:
                self._sail_on(found[1])
            elif data:
                self._pipe.reader.feed(data)
                self._hear()
        except (Garbled, Lost, OSError) as fault:
            self._break(fault)

    def _is_smooth(self) -> bool:
        """Whether the four answers of full speed are due, and nothing else is in the way."""
        return self._questions.due is DOT_AND_ENVELOPE and not self._pipe.reader.pending

    def _sail_on(self, text: bytes) -> None:
        """Do at once what the four good answers would do one by one."""
        self._cargo.conclude(Reply(250, (text,)))
        self._questions.due = ()
        self._offer()

    def _hear(self) -> None:
        """Act upon all whole replies that are here. Raises: `Garbled`."""
        reader = self._pipe.reader
        while self._questions.due and (reply := reader.take()) is not None:
            self._answered(self._questions.answered(), reply)
        if reader.pending and not self._questions.due and self._state is not State.CLOSED:
            self._unasked()

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
        elif self._cargo.front is None:
            self._come_to_nothing(due, reply)
        else:
            self._enveloped(due, reply)

    def _conclude(self, reply: Reply) -> None:
        """Take the answer to the dot."""
        if reply.code // 100 == 3:
            raise Garbled
        self._cargo.conclude(reply)
        self._state = State.ENVELOPE
        if reply.code == 421:
            self._lose(told(Lost()))
            self._close()
        else:
            self._go_on()

    def _enveloped(self, due: Due, reply: Reply) -> None:
        """Take an answer to MAIL, RCPT or DATA of the letter in front."""
        if reply.code // 100 in (4, 5):
            self._cargo.end(self._cargo.judge(reply, due.stage))
            self._questions.give_up()
            if not self._questions.due:
                self._reset()
        elif due is Due.DATA and reply.code == 354:
            self._offer()
        elif due is not Due.DATA and reply.code // 100 == 2:
            self._go_on()
        else:
            raise Garbled

    def _come_to_nothing(self, due: Due, reply: Reply) -> None:
        """Go on to the end of an envelope whose letter was refused or taken back."""
        if due is not Due.DATA:
            self._go_on()
        elif reply.code // 100 in (4, 5):
            self._reset()
        else:
            self._close(cut=True)  # a dot would hand over an empty letter

    def _go_on(self) -> None:
        """Say what was held back, wait for the next answer, or rest."""
        self._patience(patience.ENVELOPE_S)
        if command := self._questions.next():
            self._say(command)
        elif not self._questions.due:
            self.rest()

    def _reset(self) -> None:
        """Leave the transaction; whoever waits is told of in the same breath."""
        if self._cargo.full:
            self._leave()
        else:
            self._load(reset=True)

    def _dismissed(self, due: Due, reply: Reply) -> None:
        """Close: the server is leaving. That it tires of a kept line blames no letter."""
        tired = due in (Due.RSET, Due.MAIL) and self._cargo.letters > 1
        self._cargo.lose(self._cargo.judge(reply, due.stage), again=tired)
        self._close()

    def _unasked(self) -> None:
        """Hear what the server says without being asked. Raises: `Garbled`."""
        if self._state in (State.POURING, State.READY):
            self._interrupted()
        if self._state is not State.INTERRUPTED:
            self._close()
        elif (reply := self._pipe.reader.take()) is not None:
            verdict = not_handed_over(
                later("The relay answered before the letter was complete."), stage=Stage.DATA
            )
            if reply.code // 100 in (4, 5):
                verdict = self._cargo.judge(reply, Stage.DATA)
            self._cargo.end(verdict)
            self._close(cut=True)

    def _interrupted(self) -> None:
        self._state = State.INTERRUPTED
        if self._cargo.front is not None:
            self._dock.ready.pop(self._cargo.front.key, None)
        self._pipe.hush()
        self._patience(patience.ENVELOPE_S)
