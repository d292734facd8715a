"""Which relay a sender speaks to now. Kept in the sender's memory: it is gone with its lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from crm.mail.smtp import Relay

FIRST_REST_S = 5.0
"""How long a relay that is away is left alone at first; twice as long each time after."""


@dataclass(slots=True)
class Rest:
    """A relay that was away, and has not been seen since."""

    until_s: float
    length_s: float


@dataclass(slots=True, kw_only=True)
class Choice:
    """The relays of one sender, the preferred first.

    A relay that is away rests and the next one takes over; when its rest is over, the preferred
    is the current one again. ``now_s`` is monotonic: a clock that jumps wakes nobody.
    """

    relays: Sequence[Relay]
    now_s: Callable[[], float]
    longest_rest_s: float
    _rests: dict[Relay, Rest] = field(init=False, default_factory=dict)

    def current(self) -> Relay | None:
        """Return the most preferred relay that does not rest; None while all do."""
        now_s = self.now_s()
        return next((one for one in self.relays if self._until_s(one) <= now_s), None)

    def away(self, relay: Relay) -> float:
        """Let ``relay`` rest and return for how long, in seconds.

        Called once for an absence, not once for each letter that it cost: every call doubles.
        """
        before = self._rests.get(relay)
        length_s = min(2 * before.length_s if before else FIRST_REST_S, self.longest_rest_s)
        self._rests[relay] = Rest(until_s=self.now_s() + length_s, length_s=length_s)
        return length_s

    def back(self, relay: Relay) -> None:
        """Forget that ``relay`` was ever away: it has taken a letter."""
        self._rests.pop(relay, None)

    def offer(self, relays: Sequence[Relay]) -> None:
        """Take a new list, such as after a declaration; those that rest go on resting."""
        self.relays = relays
        self._rests = {one: rest for one, rest in self._rests.items() if one in relays}

    def wait_s(self) -> float | None:
        """Return in how many seconds a relay can be tried; None where there is no relay at all."""
        wakes = [self._until_s(one) for one in self.relays]
        return max(0.0, min(wakes) - self.now_s()) if wakes else None

    def _until_s(self, relay: Relay) -> float:
        rest = self._rests.get(relay)
        return rest.until_s if rest else float("-inf")
