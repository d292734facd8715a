"""How long after a stop the last letter to that address left: must be 0.

What the rows can prove. A stop has the moment at which it was recorded, a little before it was
confirmed to the person. A letter has the moment of the mail server's answer; its final dot, which
is when it left, came earlier: at most ``PATIENCE_S``, since nobody waits longer for an answer. So a
letter answered after a stop left after it for certain only where the answer came later than that
patience; this part is the proved gap. Within the patience the rows do not tell: the dot may have
been before the stop, as the gate sees to. Those letters are counted beside it.

Only letters that a stop forbids: promotion, to the address that refused it, with no confirmation
given between the stop and the answer. Bounces are no person's stop and are not counted.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from crm.consent.rules import BASIS, Act, Basis, Purpose
from crm.delivery.rules import PATIENCE_S
from crm.delivery.states import Lane

STOPS: Final = sorted(set(Act) - {Act.ASKED, Act.CONFIRMED, Act.BOUNCED})
PURPOSES: Final = [purpose for purpose in Purpose if BASIS[purpose] is Basis.CONSENT]
PATIENCE: Final = timedelta(seconds=PATIENCE_S[Lane.BULK])
LONG: Final = timedelta(days=30)
"""How far back stops are looked at: a broken promise does not go away at midnight."""
REMEMBERED_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Letters that were answered after a stop forbade them."""

    stops: int
    """How many stops were looked at."""
    letters: int
    last_after: timedelta
    """The longest from a stop to such an answer."""

    @property
    def proved(self) -> timedelta:
        """Return the part that no patience explains: a letter left after a stop by so much."""
        return max(timedelta(), self.last_after - PATIENCE)


def gap(session: Session, *, since: datetime) -> Gap:
    """Look at every stop since then and the letters that were answered after it.

    By keys alone: the stops by their time, of each the letters to its address, of these the answers
    where the mailing had not finished before the stop.
    """
    values = {"since": since, "stops": STOPS, "purposes": PURPOSES}
    row = session.execute(_GAP, values).one()
    return Gap(stops=row.stops, letters=row.letters, last_after=row.last_after or timedelta())


def long_gap(session: Session, *, at: datetime, now_s: Callable[[], float] = time.monotonic) -> Gap:
    """Return the gap of LONG, looked at once a minute: thousands of stops, tens of letters each."""
    engine = session.get_bind().engine
    known = _known.get(engine)
    if known is None or now_s() >= known[0]:
        known = _known[engine] = (now_s() + REMEMBERED_S, gap(session, since=at - LONG))
    return known[1]


_known: WeakKeyDictionary[Engine, tuple[float, Gap]] = WeakKeyDictionary()

_GAP = text("""
    WITH stops AS (
        SELECT id, at, address_id, purpose, channel FROM consent_events
        WHERE at >= :since AND act = ANY(:stops) AND purpose = ANY(:purposes)
    ), after AS (
        SELECT o.delivery_id, o.at - s.at AS late
        FROM stops s
        JOIN deliveries d ON d.address_id = s.address_id
        JOIN mailings m ON m.id = d.mailing_id AND m.purpose = s.purpose AND m.channel = s.channel
            AND (m.state <> 'finished' OR m.ended_at IS NULL OR m.ended_at >= s.at)
        JOIN outcomes o ON o.delivery_id = d.id AND o.state = 'accepted' AND o.at > s.at
        WHERE NOT EXISTS (
            SELECT 1 FROM consent_events c
            WHERE c.address_id = s.address_id AND c.purpose = s.purpose AND c.channel = s.channel
              AND c.act = 'confirmed' AND c.at > s.at AND c.at <= o.at
        )
    )
    SELECT (SELECT count(*) FROM stops) AS stops, count(DISTINCT delivery_id) AS letters,
           max(late) AS last_after
    FROM after
""")
