"""Drives the conversation that opens a line, from turn to turn."""

from collections.abc import Callable
from functools import partial
from math import inf

from crm.mail.smtp.opening import Failed, open_wire
from crm.mail.smtp.reply import Garbled
from crm.mail.smtp.verdict import Verdict, not_handed_over
from crm.mail.smtp.wait import Deadline, Wait
from crm.mail.smtp.watch import Alarm, Watch
from crm.mail.smtp.wire import Lost, Wire, told


class Opening:
    """A line being opened; `done` is told how it ended, once."""

    def __init__(
        self,
        wire: Wire,
        watch: Watch,
        alarm: Alarm,
        done: Callable[["Opening", Verdict | None], None],
    ) -> None:
        self.deadline = inf
        self.wire, self.watch = wire, watch
        self._alarm = alarm
        self._done = done
        self._talk = open_wire(wire)
        self._wait = Wait(None, 0)

    def begin(self) -> None:
        """Speak until there is something to wait for."""
        self._advance(partial(next, self._talk))

    def on(self, events: int) -> None:
        """Go on: what was waited for has come."""
        self._advance(partial(self._talk.send, events))

    def late(self) -> None:
        """End a pause, or the patience."""
        if self._wait.sock is None:
            self.on(0)
        else:
            self._advance(partial(self._talk.throw, Deadline()))

    def abandon(self) -> None:
        """Give up without a word."""
        self._talk.close()
        self.watch.off()

    def _advance(self, step: Callable[[], Wait]) -> None:
        try:
            self._wait = step()
        except StopIteration:
            self._done(self, None)
        except Failed as failed:
            self._end(failed.verdict)
        except (Lost, Garbled, Deadline, OSError) as fault:
            self._end(not_handed_over(told(fault)))
        else:
            self.deadline = self._wait.until
            self._alarm.by(self.deadline)
            if self._wait.sock is None:
                self.watch.off()
            else:
                self.watch.on(self._wait.sock, self._wait.events, self.on)

    def _end(self, verdict: Verdict) -> None:
        self.watch.off()
        self._done(self, verdict)
