"""Whether senders are at work, and on what, told by their leases: no wall clock enters."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.delivery.models import Lease
from crm.delivery.states import Lane, LeaseState

SILENT_S: Final = 15.0
_FORGOTTEN_S: Final = 30.0
Signs = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    signs: Signs
    since_s: float
    looked_s: float


@dataclass(slots=True)
class Pulse:
    """One process's memory of the signs of life it saw, by its own monotonic clock.

    It begins anew for a mailing that nobody has looked at for a while: the first look never
    tells of silence.
    """

    monotonic: Callable[[], float] = time.monotonic
    _seen: dict[int, _Seen] = field(default_factory=dict)

    def silent(self, mailing_id: int, signs: Signs) -> bool:
        """Return whether the signs have been the same for SILENT_S."""
        now_s = self.monotonic()
        fresh = {
            key: seen
            for key, seen in list(self._seen.items())
            if now_s - seen.looked_s < _FORGOTTEN_S
        }
        known = fresh.get(mailing_id)
        since_s = known.since_s if known and known.signs == signs else now_s
        self._seen = fresh | {mailing_id: _Seen(signs, since_s, now_s)}
        return now_s - since_s >= SILENT_S


def signs_of_life(session: Session) -> Signs:
    """Return numbers that move while any sender of campaigns holds a lease and lives."""
    newest, beats = session.execute(
        select(func.max(Lease.fence), func.sum(Lease.beats)).where(
            Lease.state == LeaseState.LIVE, Lease.lane == Lane.BULK
        )
    ).one()
    return (newest or 0, int(beats or 0))


def is_others_turn(session: Session, mailing_id: int) -> bool:
    """Return whether senders are at work on other campaigns only: the oldest goes first."""
    leases = select(Lease.mailing_id).where(Lease.state == LeaseState.LIVE, Lease.lane == Lane.BULK)
    busy_with = set(session.scalars(leases.distinct()))
    return bool(busy_with) and mailing_id not in busy_with
