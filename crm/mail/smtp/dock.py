"""What a fleet has in hand: letters that wait, are ready or have ended, and lines at rest."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from crm.mail.smtp.letter import Letter
from crm.mail.smtp.verdict import Verdict
from crm.mail.smtp.watch import Alarm, Timed

K = TypeVar("K", bound=Hashable)

LOSSES = 2
"""How often a letter may lose its line before 354 and be told to another without a word."""

INCIDENTS = 3
"""How often a relay may stumble over pipelining before it is spoken to command by command."""


@dataclass(eq=False, slots=True)
class Parcel(Generic[K]):
    """A letter on its way, and how often its line was lost before 354."""

    key: K
    letter: Letter
    losses: int = 0
    holder: "Holder[K] | None" = None


class Holder(Timed, Protocol[K]):
    """A line, as far as those need to know it who do not speak on it."""

    def wake(self) -> None:
        """Begin with the next waiting letter, or close if the server has left."""

    def dot(self) -> bool:
        """Write the dot of the letter that is ready, to a server that has just been listened to."""

    def give_up(self, parcel: Parcel[K]) -> None:
        """Make sure that the letter never arrives, or say that nobody knows."""

    def retire(self) -> None:
        """Take back what has no dot, and leave as soon as nothing is open."""

    def abandon(self) -> None:
        """Leave at once."""


class Dock(Generic[K]):
    """The books of one fleet; no socket is touched here."""

    def __init__(self, *, patience_s: float) -> None:
        self.patience_s = patience_s
        self.aboard: dict[K, Parcel[K]] = {}
        """All that have not ended, those that wait among them."""
        self.waiting: deque[Parcel[K]] = deque()
        self.ready: dict[K, Holder[K]] = {}
        self.ended: list[tuple[K, Verdict]] = []
        self.lines: set[Holder[K]] = set()
        self.resting: dict[Holder[K], None] = {}
        self.leaving: set[Holder[K]] = set()
        self.closing = False
        self.alarm = Alarm()
        self.withholds = True
        """Whether a small body waits for its dot: until the kernel once did not take both."""
        self.incidents = 0
        self.incident_at = 0.0

    @property
    def pipelines(self) -> bool:
        """Whether a server that offers PIPELINING is believed."""
        return self.incidents < INCIDENTS

    def stumbled(self, opened_at: float, *, at: float) -> None:
        """Count an incident; lines opened before the last one have only seen the same again."""
        if opened_at >= self.incident_at:
            self.incidents += 1
            self.incident_at = at

    def add(self, key: K, letter: Letter) -> None:
        """Let a letter wait for a line."""
        parcel = self.aboard[key] = Parcel(key, letter)
        self.waiting.append(parcel)

    def take(self, features: dict[str, str]) -> tuple[Parcel[K] | None, bytes]:
        """Return the next letter and its envelope; those that cannot be told here end."""
        while self.waiting:
            parcel = self.waiting.popleft()
            envelope = parcel.letter.envelope(features)
            if isinstance(envelope, bytes):
                return parcel, envelope
            self.end(parcel, envelope)
        return None, b""

    def put_back(self, parcel: Parcel[K]) -> None:
        """Let a letter that was not spoken of be the next again."""
        parcel.holder = None
        self.waiting.appendleft(parcel)

    def try_again(self, parcel: Parcel[K], verdict: Verdict) -> None:
        """Let a letter whose line was lost be the next, unless that has happened too often."""
        parcel.losses += 1
        if parcel.losses > LOSSES or self.closing:
            self.end(parcel, verdict)
        else:
            self.put_back(parcel)

    def end(self, parcel: Parcel[K], verdict: Verdict) -> None:
        """Write down how a letter ended."""
        del self.aboard[parcel.key]
        self.ended.append((parcel.key, verdict))

    def end_waiting(self, verdict: Verdict) -> None:
        """End all that have no line."""
        while self.waiting:
            self.end(self.waiting.popleft(), verdict)
