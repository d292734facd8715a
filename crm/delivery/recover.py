"""What a dead sender left behind: found out by its silence, and settled without sending twice."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crm.delivery import rules
from crm.delivery.lease import give_back
from crm.delivery.models import Lease, Mailing, Outcome, Retry
from crm.delivery.rules import after_doubt
from crm.delivery.states import DeliveryState, LeaseState
from crm.delivery.window import open_intents


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

    An intent without an outcome may have been written to the wire: a promotional one becomes
    uncertain, a service one is tried once more. What had no intent goes back.

    Returns how many became uncertain, or None if the lease had moved or ended meanwhile.
    """
    mailing_id = session.scalar(
        update(Lease)
        .where(Lease.fence == fence, Lease.state == LeaseState.LIVE, Lease.beats == beats)
        .values(state=LeaseState.DEAD)
        .returning(Lease.mailing_id)
    )
    if mailing_id is None:
        return None
    mailing = session.execute(
        select(Mailing.purpose, Mailing.lane).where(Mailing.id == mailing_id)
    ).one()
    doubtful = open_intents(session, fence)
    again = [
        (delivery_id, tries)
        for delivery_id, tries in doubtful
        if after_doubt(mailing.purpose, tries, at=at).retry_at is not None
    ]
    lost = [delivery_id for delivery_id, tries in doubtful if (delivery_id, tries) not in again]
    session.add_all(
        Retry(delivery_id=delivery_id, mailing_id=mailing_id, lane=mailing.lane, due_at=at, tries=n)
        for delivery_id, n in again
    )
    session.add_all(
        Outcome(
            delivery_id=delivery_id,
            mailing_id=mailing_id,
            state=DeliveryState.UNCERTAIN,
            at=at,
        )
        for delivery_id in lost
    )
    give_back(session, fence)
    session.flush()
    return len(lost)
