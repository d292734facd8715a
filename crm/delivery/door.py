"""Who lets us in: a relay, before it has heard of any recipient, and destinations after. Pure."""

from dataclasses import dataclass, field
from typing import Final

from crm.mail.smtp import Kind, Stage, Verdict

SHUT_AFTER: Final = 3
"""Letters turned away, with none let in between. One is a hiccup: a server that starts anew, a line
too many."""
REMEMBERED: Final = 1000
"""Destinations whose refusals a sender remembers."""
_AT_THE_DOOR: Final = frozenset({Stage.CONNECTION, Stage.MAIL})


@dataclass(slots=True)
class Door:
    """One sender's memory of one relay, or of a destination behind it."""

    _turned_away: set[int] = field(default_factory=set)
    """By delivery. Different ones: a single letter may have a fault of its own."""

    @property
    def is_shut(self) -> bool:
        """Return whether the relay has turned away several letters since it let one in."""
        return len(self._turned_away) >= SHUT_AFTER

    def heed(self, delivery_id: int, verdict: Verdict) -> None:
        """Take in how a letter ended."""
        if verdict.kind is Kind.LATER and refuses_us(verdict):
            self.turn_away(delivery_id)
        elif verdict.kind is Kind.ACCEPTED or _is_inside(verdict):
            self._turned_away.clear()

    def turn_away(self, delivery_id: int) -> None:
        """Take in that this letter was not let in for now."""
        if not self.is_shut:
            self._turned_away.add(delivery_id)


@dataclass(slots=True)
class Doors:
    """One sender's memory of the destinations behind a relay: those that refused last."""

    _doors: dict[str, Door] = field(default_factory=dict)

    def turn_away(self, destination: str, delivery_id: int) -> None:
        """Take in that a destination refused a letter for now, as it may refuse any."""
        if destination not in self._doors and len(self._doors) >= REMEMBERED:
            self._doors.clear()
        self._doors.setdefault(destination, Door()).turn_away(delivery_id)

    def forget(self, destination: str) -> None:
        """Take in that a destination has accepted a letter, or rests: all senders know of that."""
        self._doors.pop(destination, None)

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._doors)

    def is_shut(self, destination: str) -> bool:
        """Return whether it has refused several letters since it accepted one."""
        door = self._doors.get(destination)
        return door is not None and door.is_shut


def refuses_us(verdict: Verdict) -> bool:
    """Return whether the relay refused us, whoever the recipient.

    Providers say "too many letters" with a 421 after RCPT, which a relay may hand on: that may be
    about the letter, or about where it goes.
    """
    is_for_good = verdict.kind is Kind.REJECTED
    is_answer = is_for_good or verdict.kind is Kind.LATER
    return is_answer and verdict.relay_wide and (is_for_good or verdict.stage in _AT_THE_DOOR)


def _is_inside(verdict: Verdict) -> bool:
    return verdict.kind in (Kind.LATER, Kind.REJECTED) and not refuses_us(verdict)
