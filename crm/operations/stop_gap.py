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

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.consent.rules import BASIS, Act, Basis, Purpose
from crm.delivery.rules import PATIENCE_S
from crm.delivery.states import Lane

STOPS: Final = sorted(set(Act) - {Act.ASKED, Act.CONFIRMED, Act.BOUNCED})
PURPOSES: Final = [purpose for purpose in Purpose if BASIS[purpose] is Basis.CONSENT]
PATIENCE: Final = timedelta(seconds=PATIENCE_S[Lane.BULK])


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

    By keys alone: the stops by their time, of each the few letters to its address.
    """
    values = {"since": since, "stops": STOPS, "purposes": PURPOSES}
    row = session.execute(_GAP, values).one()
    return Gap(stops=row.stops, letters=row.letters, last_after=row.last_after or timedelta())


_GAP = text("""
    WITH stops AS (
        SELECT id, at, address_id, purpose, channel FROM consent_events
        WHERE at >= :since AND act = ANY(:stops) AND purpose = ANY(:purposes)
    ), after AS (
        SELECT o.delivery_id, o.at - s.at AS late
        FROM stops s
        JOIN deliveries d ON d.address_id = s.address_id
        JOIN mailings m ON m.id = d.mailing_id AND m.purpose = s.purpose AND m.channel = s.channel
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
