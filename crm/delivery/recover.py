"""What a dead sender left behind: found out by its silence, and settled without sending twice."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.orm import Session

from crm.consent.rules import Purpose
from crm.delivery import mishaps, rules
from crm.delivery.lease import Work, give_back
from crm.delivery.models import Lease, Mailing, Range, Retry, Window
from crm.delivery.rules import after_doubt
from crm.delivery.states import DeliveryState, LeaseState, Mishap
from crm.delivery.window import Result, open_intents, settle


@dataclass(slots=True)
class Watch:
    """A watcher's memory of the leases it sees, by its own monotonic clock.

    Wall clocks do not enter: a clock that jumps an hour kills nothing. A watcher that starts
    anew only begins its 30 seconds again; two watchers do no harm.
    """

    monotonic: Callable[[], float] = time.monotonic
    seen: dict[int, tuple[int, float]] = field(default_factory=dict)

    def silent(self, leases: dict[int, int]) -> dict[int, int]:
        """Return the leases whose counter has not moved for DEAD_AFTER_S.

        Both mappings are of fence to counter; ``leases`` holds all that are live now.
        """
        now = self.monotonic()
        known = self.seen
        self.seen = {
            fence: known[fence] if fence in known and known[fence][0] == beats else (beats, now)
            for fence, beats in leases.items()
        }
        return {
            fence: beats
            for fence, (beats, since) in self.seen.items()
            if now - since >= rules.DEAD_AFTER_S
        }


def live(session: Session) -> dict[int, int]:
    """Return the counters of all live leases by fence."""
    rows = session.execute(select(Lease.fence, Lease.beats).where(Lease.state == LeaseState.LIVE))
    return {row.fence: row.beats for row in rows}


def bury(session: Session, fence: int, beats: int, *, at: datetime) -> int | None:
    """Declare a lease dead if its counter still stands at ``beats``; settle what it left.

    What is in a window without an outcome may have been written to the wire: a promotional letter
    becomes uncertain, a service one is tried once more. What was in no window goes back.

    Returns how many became uncertain, or None if the lease had moved or ended meanwhile.
    """
    dead = session.execute(
        update(Lease)
        .where(Lease.fence == fence, Lease.state == LeaseState.LIVE, Lease.beats == beats)
        .values(state=LeaseState.DEAD)
        .returning(Lease.mailing_id, Lease.provider)
    ).one_or_none()
    if dead is None:
        return None
    mailing = session.execute(
        select(Mailing.purpose, Mailing.lane, Mailing.key).where(Mailing.id == dead.mailing_id)
    ).one()
    work = Work(
        fence=fence,
        mailing_id=dead.mailing_id,
        provider=dead.provider,
        range_id=None,
        letters=0,
        purpose=mailing.purpose,
        uncapped=False,
        key=mailing.key,
        is_probed=True,
    )
    ends = [_end(one, mailing.purpose, at=at) for one in open_intents(session, fence)]
    settle(session, work, mailing.lane, ends)
    session.execute(delete(Window).where(Window.fence == fence))
    lost = sum(end.state is DeliveryState.UNCERTAIN for end in ends)
    again = len(ends) - lost + _untouched(session, fence)
    give_back(session, fence)
    mishaps.count(session, Mishap.SENDER_DIED, at=at, uncertain=lost, queued_again=again)
    session.execute(
        update(Lease).where(Lease.fence == fence).values(uncertain=Lease.uncertain + lost)
    )
    session.flush()
    return lost


def _untouched(session: Session, fence: int) -> int:
    """Return how many letters are under a lease that were in no window."""
    waiting = select(func.coalesce(func.sum(Range.waiting), 0)).where(Range.fence == fence)
    retries = select(func.count()).select_from(Retry).where(Retry.fence == fence)
    of_ranges, of_retries = session.execute(
        select(waiting.scalar_subquery(), retries.scalar_subquery())
    ).one()
    return int(of_ranges + of_retries)


def _end(one: Row[Any], purpose: Purpose, *, at: datetime) -> Result:
    after = after_doubt(purpose, one.tries, at=at)
    return Result(
        delivery_id=one.delivery_id,
        state=after.state,
        at=at,
        tries=one.tries,
        retry_at=after.retry_at,
    )
