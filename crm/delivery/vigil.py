"""When a mailing is held: by what its refusals and complaints say of it. Pure."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from crm.config import LOOPBACK
from crm.errors import later
from crm.mail.refusal import Refusal

UNWANTED: Final = later(
    "A mail provider refuses these letters as unwanted or unproven. Read its replies on this page, "
    "put right what they name (SPF, DKIM, the list itself), then resume."
)
NOBODY_THERE: Final = later(
    "Too many of these addresses do not exist: 5 in 100 or more. Find out where the list comes "
    "from and take the old addresses out; then resume, or stop."
)
COMPLAINED: Final = later(
    "Too many people mark this letter as spam: 2 in 1000 or more. Whoever gets the rest will do "
    "the same; stop it, unless you know the cause and have removed it."
)

FIRST: Final = 200
STRETCH: Final = 500
_HARD_SHARE: Final = 0.05
_POLICY_STRETCH: Final = 100
_POLICY_MOST: Final = 5
_POLICY_RUN: Final = 3
_COMPLAINTS_LEAST: Final = 3
_COMPLAINTS_SHARE: Final = 0.002

PROBE_PAUSE: Final = timedelta(minutes=15)
"""How long bounce letters are waited for after the first 200."""


@dataclass(slots=True)
class _Provider:
    letters: int = 0
    policy_at: deque[int] = field(default_factory=lambda: deque(maxlen=_POLICY_MOST))
    """Which of its letters were refused by policy, counted from 1."""
    run: int = 0


@dataclass(slots=True)
class Vigil:
    """One sender's memory of one mailing's replies, in the order in which they came.

    Each sender keeps its own; the first letters are judged by what all have seen as well
    (``after_first``). What led to a hold is forgotten with it: a person judges that, and resumes.
    """

    letters: int = 0
    hard_at: deque[int] = field(
        default_factory=lambda: deque(maxlen=round(STRETCH * _HARD_SHARE)),
    )
    """Which letters were refused for an address that does not exist, counted from 1."""
    providers: defaultdict[str, _Provider] = field(default_factory=lambda: defaultdict(_Provider))

    def heed(self, provider: str, refusal: Refusal | None) -> str | None:
        """Take in how one letter was answered (None: accepted); return why to hold, or None.

        Letters that no server has answered do not belong here.
        """
        self.letters += 1
        known = self.providers[provider]
        known.letters += 1
        known.run = known.run + 1 if refusal is Refusal.POLICY else 0
        why = None
        if refusal is Refusal.POLICY:
            known.policy_at.append(known.letters)
            why = UNWANTED if _repeats(known) else None
        elif refusal is Refusal.NO_SUCH_ADDRESS:
            self.hard_at.append(self.letters)
            why = NOBODY_THERE if self._too_many_hard() else None
        if why:
            self.letters = 0
            self.hard_at.clear()
            self.providers.clear()
        return why

    def _too_many_hard(self) -> bool:
        if self.letters <= FIRST:
            return len(self.hard_at) >= FIRST * _HARD_SHARE
        full = len(self.hard_at) == self.hard_at.maxlen
        return full and self.letters - self.hard_at[0] < STRETCH


def _repeats(known: _Provider) -> bool:
    if known.run >= _POLICY_RUN:
        return True
    full = len(known.policy_at) == _POLICY_MOST
    return full and known.letters - known.policy_at[0] < _POLICY_STRETCH


@dataclass(frozen=True, slots=True)
class Seen:
    """What all senders have written down of one mailing."""

    letters: int
    """Accepted or failed."""
    hard: int
    provider_letters: int
    """Of these, those to one provider."""
    provider_policy: int
    """Tries that this provider refused by policy."""


def after_first(seen: Seen, *, bounced: int, refused: int) -> str | None:
    """Return why to hold a mailing by its first letters as all senders saw them, or None.

    Once for each limit: what a person has resumed after that is not held by the same again.

    Args:
        seen: with the latest.
        bounced: how many of ``seen.hard`` are the latest.
        refused: how many of ``seen.provider_policy``.

    """
    if seen.letters <= FIRST and _is_reached(FIRST * _HARD_SHARE, seen.hard, bounced):
        return NOBODY_THERE
    is_early = seen.provider_letters <= _POLICY_STRETCH
    if is_early and _is_reached(_POLICY_MOST, seen.provider_policy, refused):
        return UNWANTED
    return None


def _is_reached(limit: float, count: int, latest: int) -> bool:
    return count - latest < limit <= count


def after_bounces(bounced: int, *, handed_over: int) -> str | None:
    """Return why to hold a mailing whose bounce letters have come in by post, or None.

    For a relay that answers 250 to all: asked at the end of ``probe_until``'s pause.
    """
    return NOBODY_THERE if 0 < handed_over * _HARD_SHARE <= bounced else None


def after_complaints(complaints: int, *, accepted: int) -> str | None:
    """Return why to hold a mailing with so many complaints, or None."""
    many = complaints >= _COMPLAINTS_LEAST and complaints >= accepted * _COMPLAINTS_SHARE
    return COMPLAINED if many else None


def behind_smart_host(choice: bool | None, relay_host: str) -> bool:
    """Return whether bounce letters must be waited for: the clinic's choice, or a guess.

    A relay on this machine is taken for a trial's, and slows nobody down unless it is told to.
    """
    return relay_host not in LOOPBACK if choice is None else choice


def probe_until(handed_over: int, *, before: datetime | None, at: datetime) -> datetime | None:
    """Return until when a mailing behind a smart host waits for bounce letters.

    None as long as it has not handed over 200. What it was before stands, past or not: a mailing
    waits once.
    """
    return at + PROBE_PAUSE if before is None and handed_over >= FIRST else before
