"""How a provider's pace grows from day to day. Pure."""

from dataclasses import dataclass
from typing import Final

START_PER_HOUR: Final = 200
_DEFERRED: Final = 0.02
_COMPLAINED: Final = 0.0005
_EVIDENCE: Final = 100
"""Letters after which a day tells something; half an hour's pace where that is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What one provider did with a day's letters."""

    accepted: int
    deferred: int
    """Refused for now, or by policy: what a reputation shows itself in."""
    complained: int

    @property
    def letters(self) -> int:
        return self.accepted + self.deferred


def next_per_hour(per_hour: int, *, target: int, day: Day) -> int:
    """Return the pace after such a day: double while all is well, half when it is not.

    Never above the target; and no step back leads below the start. A day with too few letters
    changes nothing: nobody has seen us.

    >>> next_per_hour(200, target=3600, day=Day(accepted=500, deferred=3, complained=0))
    400
    """
    if day.letters < min(_EVIDENCE, max(per_hour // 2, 1)):
        return min(per_hour, target)
    if day.deferred < day.letters * _DEFERRED and day.complained < day.letters * _COMPLAINED:
        return min(2 * per_hour, target)
    return min(max(per_hour // 2, START_PER_HOUR), per_hour, target)
