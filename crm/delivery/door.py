"""Whether a relay lets us in: what it answers before it has heard of any recipient. Pure."""

from dataclasses import dataclass, field
from typing import Final

from crm.mail.smtp import Kind, Stage, Verdict

SHUT_AFTER: Final = 3
"""Letters turned away, with none let in between. One is a hiccup: a server that starts anew, a line
too many."""
_AT_THE_DOOR: Final = frozenset({Stage.CONNECTION, Stage.MAIL})


@dataclass(slots=True)
class Door:
    """One sender's memory of one relay."""

    _turned_away: set[int] = field(default_factory=set)
    """By delivery. Different ones: a single letter may have a fault of its own."""

    @property
    def is_shut(self) -> bool:
        """Return whether the relay has turned away several letters since it let one in."""
        return len(self._turned_away) >= SHUT_AFTER

    def heed(self, delivery_id: int, verdict: Verdict) -> None:
        """Take in how a letter ended."""
        if verdict.kind is Kind.LATER and refuses_us(verdict):
            if not self.is_shut:
                self._turned_away.add(delivery_id)
        elif verdict.kind is Kind.ACCEPTED or _is_inside(verdict):
            self._turned_away.clear()


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
