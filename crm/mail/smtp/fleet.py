"""A fleet of lines to one relay, each with a letter and the envelope of the next; see `Fleet`."""

import selectors
import ssl
import time
from math import inf
from typing import Generic

from crm.errors import later
from crm.mail.smtp import patience
from crm.mail.smtp.carrier import Carrier
from crm.mail.smtp.dock import Dock, Holder, K
from crm.mail.smtp.letter import Letter
from crm.mail.smtp.opener import Opening
from crm.mail.smtp.relay import Relay
from crm.mail.smtp.verdict import Verdict, not_handed_over
from crm.mail.smtp.watch import Timed, Watch
from crm.mail.smtp.wire import Wire

_STILL_S = 0.001
"""A look at all lines is good for as long: whatever is said meanwhile may be on its way as well."""


class Fleet(Generic[K]):
    """Carries letters to a relay over at most `size` kept lines; one thread, one process.

    `hand_in` letters under keys of your own, take `turn`s, `dot` those that are `ready`, fetch
    what has `ended`. A letter is handed over by its dot and by nothing else: its verdict is
    accepted or uncertain only after the dot, and each letter ends exactly once, unless it was
    dropped before its dot. Never raises for anything a server does.

    `patience_s` is for the answer to the dot; the other phases have their own (`patience`).
    """

    def __init__(
        self,
        relay: Relay,
        *,
        size: int,
        patience_s: float = patience.REPLY_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._relay, self._size, self._tls = relay, size, tls
        self._dock: Dock[K] = Dock(patience_s=patience_s)
        self._selector = selectors.DefaultSelector()
        self._listened_at = 0.0
        self._openings: set[Opening] = set()
        self._failures = 0
        """In a row, of opening a line."""
        self._open_again_at = 0.0
        self._eight_bit = False

    @property
    def room(self) -> int:
        """How many letters may be handed in now."""
        return 0 if self._dock.closing else max(0, self._size - len(self._dock.waiting))

    @property
    def outstanding(self) -> int:
        """How many letters have not ended, or have and were not fetched by `ended`."""
        return len(self._dock.aboard) + len(self._dock.ended)

    @property
    def eight_bit(self) -> bool:
        """Whether the relay offered 8BITMIME when it last greeted us."""
        return self._eight_bit

    @property
    def away(self) -> bool:
        """Whether no line is open and the last attempt to open one failed."""
        return self._failures > 0 and not self._dock.lines

    @property
    def ready(self) -> list[K]:
        """Letters that the server waits for and that only lack their dot, oldest first."""
        return list(self._dock.ready)

    def hand_in(self, key: K, letter: Letter) -> None:
        """Let a letter wait for a line. Raises: ValueError beyond `room`, or for a key aboard."""
        if key in self._dock.aboard:
            raise ValueError("A letter of this key is aboard.")
        if not self.room:
            raise ValueError("The fleet is full.")
        self._dock.add(key, letter)

    def turn(self, *, wait_s: float) -> bool:
        """Do what can be done, wait at most `wait_s` for the network; return whether any was."""
        moved = self._embark()
        wait_s = 0.0 if moved else max(0.0, min(wait_s, self._dock.alarm.at - time.monotonic()))
        moved |= self._listen(wait_s)
        # Only now: what has come in time may have been here for long, and nobody looked.
        moved |= self._call_time()
        return moved

    def dot(self, key: K) -> bool:
        """Hand a ready letter over, without waiting; return whether that is done.

        After False for a letter that was ready, nothing is handed over and a verdict follows. The
        first of several dots listens to all lines, so that other letters may end meanwhile.
        """
        if key not in self._dock.ready:
            return False
        if time.monotonic() - self._listened_at > _STILL_S:
            self._listen(0.0)
        line = self._dock.ready.pop(key, None)
        return line is not None and line.dot()

    def drop(self, key: K) -> None:
        """Take a letter back and forget its key; after its dot, end it as uncertain instead.

        Costs the connection where the server waits for the letter: there is no other safe way.
        """
        parcel = self._dock.aboard.get(key)
        if parcel is None:
            return
        if parcel.holder is None:
            self._dock.waiting.remove(parcel)
        else:
            parcel.holder.give_up(parcel)
        self._dock.aboard.pop(key, None)

    def ended(self) -> list[tuple[K, Verdict]]:
        """Return the ends known since last asked."""
        ended, self._dock.ended = self._dock.ended, []
        return ended

    def close(self) -> None:
        """Take back what has no dot, wait at most a second for answers, say QUIT; then close.

        Every letter still aboard ends, to be fetched by `ended`.
        """
        self._dock.closing = True
        self._dock.end_waiting(not_handed_over(later("The letter was taken back.")))
        for opening in self._openings:
            opening.abandon()
        self._openings.clear()
        for line in list(self._dock.lines):
            line.retire()
        until = time.monotonic() + patience.FAREWELL_S
        while self._open_lines() and (left := until - time.monotonic()) > 0:
            self._listen(left)
        for line in self._open_lines():
            line.abandon()
        self._selector.close()

    def _listen(self, wait_s: float) -> bool:
        """Let those go on whose socket stirs; return whether there were any."""
        stirring = self._selector.select(wait_s)
        self._listened_at = time.monotonic()
        for key, events in stirring:
            key.data(events)
        return bool(stirring)

    def _timed(self) -> list[Timed]:
        return [*self._openings, *self._open_lines()]

    def _open_lines(self) -> list[Holder[K]]:
        return [*self._dock.lines, *self._dock.leaving]

    def _call_time(self) -> bool:
        """Tell those whose deadline has passed; return whether there were any."""
        now = time.monotonic()
        if now < self._dock.alarm.at:
            return False
        late = [one for one in self._timed() if one.deadline <= now]
        for one in late:
            one.late()
        deadlines = [one.deadline for one in self._timed()]
        if self._dock.waiting and self._open_again_at > now:
            deadlines.append(self._open_again_at)
        self._dock.alarm.at = min(deadlines, default=inf)
        return bool(late)

    def _embark(self) -> bool:
        """Bring waiting letters onto lines at rest, and open lines for the others."""
        dock = self._dock
        if not dock.waiting:
            return False
        moved = False
        while dock.waiting and dock.resting:
            line, _ = dock.resting.popitem()
            line.wake()
            moved = True
        for _ in range(self._wanted()):
            self._open()
            moved = True
        return moved

    def _wanted(self) -> int:
        """Return how many more lines are to be opened now; after a failure, one to try."""
        waiting, lines = len(self._dock.waiting), len(self._dock.lines)
        opening = len(self._openings)
        wanted = max(0, min(waiting - opening, self._size - opening - lines))
        if not self._failures:
            return wanted
        resting = lines > 0 and time.monotonic() < self._open_again_at
        return 0 if resting or opening else min(wanted, 1)

    def _open(self) -> None:
        wire, watch = Wire(self._relay, tls=self._tls), Watch(self._selector)
        opening = Opening(wire, watch, self._dock.alarm, self._opened)
        self._openings.add(opening)
        opening.begin()

    def _opened(self, opening: Opening, verdict: Verdict | None) -> None:
        """Put a line into service, or bear that there is none."""
        self._openings.discard(opening)
        if verdict is None:
            self._failures = 0
            self._eight_bit = "8BITMIME" in opening.wire.features
            Carrier(opening.wire, opening.watch, self._dock).rest()
            return
        self._failures += 1
        pause_s = patience.OPEN_AGAIN_S * 2 ** min(self._failures - 1, 10)
        self._open_again_at = time.monotonic() + min(pause_s, patience.OPEN_AGAIN_AT_MOST_S)
        self._dock.alarm.by(self._open_again_at)
        if self.away and not self._openings:
            self._dock.end_waiting(verdict)
