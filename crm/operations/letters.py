"""Letters by lane and state, from the sums beside the rows: no outcome is counted."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from crm.delivery.models import Lease, Mailing
from crm.delivery.states import Lane, LeaseState, MailingState


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFigures:
    """One lane at this moment."""

    waiting: int = 0
    """Letters that no sender has taken yet, retries among them."""
    in_hand: int = 0
    """Letters of open windows: those under way, and those whose end is about to be written."""
    retries: int = 0
    retries_due: int = 0
    put_off: int = 0
    """Letters that failed to leave more than once, and are to be tried again."""
    put_off_because: str | None = None
    """What was said of one of them."""
    accepted: int = 0
    withheld: int = 0
    failed: int = 0
    failed_today: int = 0
    """Under leases that were taken today, without those to addresses that do not exist."""
    uncertain: int = 0
    uncertain_today: int = 0
    """Under leases that were taken today."""
    live: int = 0
    dead: int = 0
    dead_today: int = 0
    oldest_at: datetime | None = None
    """Since when the mailing, or the next try, has been due of the letter that waits longest.

    Those of halted mailings do not wait. A paced campaign has been due since it began.
    """


def lanes(session: Session, *, today: datetime, at: datetime) -> dict[Lane, LaneFigures]:
    """Return the figures of both lanes; ``today`` is the clinic's last midnight."""
    rows = session.execute(_LANES, {"today": today, "at": at}).mappings()
    found = {row["lane"]: row for row in rows}
    names = [field.name for field in fields(LaneFigures)]
    return {lane: LaneFigures(**{name: found[lane.value][name] for name in names}) for lane in Lane}


def mailings(session: Session) -> dict[MailingState, int]:
    """Return how many mailings are in each state but the last."""
    rows = session.execute(
        select(Mailing.state, func.count())
        .where(Mailing.state != MailingState.FINISHED)
        .group_by(Mailing.state)
    )
    found = {row[0]: row[1] for row in rows}
    open_states = [state for state in MailingState if state is not MailingState.FINISHED]
    return {state: found.get(state, 0) for state in open_states}


def live_leases(session: Session, *, limit: int) -> Sequence[Lease]:
    """Return the leases that senders hold, the oldest first."""
    held = select(Lease).where(Lease.state == LeaseState.LIVE)
    return session.scalars(held.order_by(Lease.fence).limit(limit)).all()


_LANES = text("""
    WITH ended AS (
        SELECT lane,
               sum(accepted) AS accepted, sum(withheld) AS withheld,
               sum(failed) AS failed, sum(uncertain) AS uncertain,
               coalesce(sum(failed - bounced) FILTER (WHERE taken_at >= :today), 0)
                   AS failed_today,
               coalesce(sum(uncertain) FILTER (WHERE taken_at >= :today), 0) AS uncertain_today,
               count(*) FILTER (WHERE state = 'live') AS live,
               count(*) FILTER (WHERE state = 'dead') AS dead,
               count(*) FILTER (WHERE state = 'dead' AND taken_at >= :today) AS dead_today
        FROM leases GROUP BY lane
    ), untouched AS (
        SELECT lane, sum(waiting) AS letters FROM ranges WHERE NOT done GROUP BY lane
    ), again AS (
        SELECT lane, count(*) AS letters,
               count(*) FILTER (WHERE due_at <= :at AND fence IS NULL) AS due,
               count(*) FILTER (WHERE tries > 1) AS put_off,
               max(reply) FILTER (WHERE tries > 1) AS put_off_because
        FROM retries GROUP BY lane
    ), held AS (
        SELECT l.lane, sum(cardinality(w.delivery_ids)) AS letters
        FROM windows w JOIN leases l ON l.fence = w.fence GROUP BY l.lane
    ), oldest AS (
        SELECT lane, min(due_at) AS due_at FROM (
            SELECT lane, due_at FROM mailings m
            WHERE m.state = 'scheduled' OR m.state = 'running' AND EXISTS
                (SELECT 1 FROM ranges r WHERE r.mailing_id = m.id AND NOT r.done AND r.waiting > 0)
            UNION ALL
            SELECT r.lane, r.due_at FROM retries r JOIN mailings m ON m.id = r.mailing_id
            WHERE m.state = 'running' AND r.fence IS NULL
        ) AS due
        WHERE due_at <= :at GROUP BY lane
    )
    SELECT lane, coalesce(untouched.letters, 0) + coalesce(again.letters, 0) AS waiting,
           coalesce(held.letters, 0) AS in_hand,
           coalesce(again.letters, 0) AS retries, coalesce(again.due, 0) AS retries_due,
           coalesce(again.put_off, 0) AS put_off, again.put_off_because,
           coalesce(failed_today, 0) AS failed_today,
           coalesce(accepted, 0) AS accepted, coalesce(withheld, 0) AS withheld,
           coalesce(failed, 0) AS failed, coalesce(uncertain, 0) AS uncertain,
           coalesce(uncertain_today, 0) AS uncertain_today, coalesce(live, 0) AS live,
           coalesce(dead, 0) AS dead, coalesce(dead_today, 0) AS dead_today,
           oldest.due_at AS oldest_at
    FROM unnest(ARRAY['bulk', 'service']) AS lanes (lane)
    LEFT JOIN ended USING (lane) LEFT JOIN untouched USING (lane) LEFT JOIN again USING (lane)
    LEFT JOIN held USING (lane) LEFT JOIN oldest USING (lane)
""")
