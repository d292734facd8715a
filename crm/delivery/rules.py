"""When to try again, how fast to go, and how what a relay said becomes what is stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from crm.consent.rules import Purpose
from crm.delivery.states import DeliveryState, Lane

LINES = 64
"""Connections a bulk sender keeps at most."""
SENDERS = 2
"""Bulk senders at work, as the worker is started: they share what a relay or a provider takes."""
WINDOW = 128
"""Letters taken at a time, durably, or two for each line where that is less: a killed sender leaves
so many in doubt, and so many again that have dots and no answers yet."""
RANGE_SIZE = 1024
"""Deliveries leased at a time, at most."""
RANGES = 24
"""Into so many leases a mailing is cut that is large enough, so that its senders end together."""
LOOK_S = 0.25
"""No dot is written later than this after the look at consent that allowed it."""
PATIENCE_S = {Lane.BULK: 300.0, Lane.SERVICE: 60.0}
"""For the answer to a dot. RFC 5321 4.5.3.2.6 speaks of ten minutes; a lane of service letters
cannot wait so long for one of them."""
DEAD_AFTER_S = 30.0
"""A lease whose counter has not moved for so long, by the watcher's own clock, is dead."""
OVERDUE_AFTER = timedelta(hours=1)
"""A mailing that missed its time by more waits for a person instead of firing."""
AFTER_LOSS = timedelta(seconds=30)
"""Until a letter is tried again whose connection was lost before its dot."""
MAX_TRIES = 5
_PAUSES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
_TROUBLES_PAUSES = (AFTER_LOSS, timedelta(minutes=15), timedelta(hours=4), timedelta(hours=12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How one try ended: ``retry_at`` for another one, or the final ``state``."""

    state: DeliveryState
    retry_at: datetime | None = None


def after_loss(tries: int, *, at: datetime) -> Settled:
    """Return what follows a try whose connection was lost before the dot.

    The first time it hardly was the letter's fault; a letter that breaks connections again and
    again is let go in the end.

    >>> after_loss(5, at=datetime(2027, 3, 1)).state.value
    'failed'
    """
    if tries >= MAX_TRIES:
        return Settled(state=DeliveryState.FAILED)
    pause = AFTER_LOSS if tries == 1 else _PAUSES[tries - 2]
    return Settled(state=DeliveryState.QUEUED, retry_at=at + pause)


def after_trouble(tries: int, *, at: datetime) -> Settled:
    """Return what follows a try of a service letter that failed by no fault of its own.

    The relay refuses us, or no letter can be printed. Whoever mends that within half a day loses
    none; nobody looks after a single letter, so it does not wait for ever.

    >>> after_trouble(5, at=datetime(2027, 3, 1)).state.value
    'failed'
    """
    if tries >= MAX_TRIES:
        return Settled(state=DeliveryState.FAILED)
    return Settled(state=DeliveryState.QUEUED, retry_at=at + _TROUBLES_PAUSES[tries - 1])


def after_doubt(purpose: Purpose, tries: int, *, at: datetime) -> Settled:
    """Return what follows a letter that may have arrived.

    A promotional letter is never sent twice: one lost is better than one doubled. A service
    letter is tried once more, with the same Message-ID.
    """
    if purpose is Purpose.SERVICE and tries == 1:
        return Settled(state=DeliveryState.QUEUED, retry_at=at)
    return Settled(state=DeliveryState.UNCERTAIN)
