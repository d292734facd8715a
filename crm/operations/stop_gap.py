"""How long after a stop the last letter to that address left: must be 0.

The order is that of the gate, and not of clocks. A stop whose person was told "done" has passed the
gate and has a turn of its own there (``consent.models.Barrier``). A letter has the newest turn that
had passed when the dots beside its own were written (``Outcome.turn``): it left after every stop of
that turn or an older one, and before every other. So a letter is late where its turn is not below
the stop's, unless the confirmation that allowed it is newer than the stop.

Where one of the two turns is not known, only moments are left: of a stop for which nobody passed
the gate (a complaint, or a sender that did not come out of it in time), of a letter whose sender
lost the gate between its dot and the end, and in rows of older versions. A letter's moment is that
of the mail server's answer, for which nobody waits longer than ``PATIENCE_S``: what was answered
later than that after a stop left after it, as far as the clocks of two servers agree: where one was
seen to jump about then, a moment is good to within that jump. Within the patience these rows do not
tell; the letters are counted as unproved.

Only letters that a stop forbids: promotion, to the address that refused it. Bounces are no person's
stop and are not counted.
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
    """Letters after stops that forbade them."""

    stops: int
    """How many stops were looked at."""
    letters: int
    """Answered after a stop, by the clocks."""
    last_after: timedelta
    """The longest from a stop to such an answer."""
    unproved: int
    """Of ``letters``, those of which the order at the gate is not known, and the moments are no
    proof."""
    proved: timedelta
    """The longest from a stop to the answer to a letter that left after it, a tenth of a second at
    least; by moments alone, without the patience and the jumps of clocks."""


def gap(session: Session, *, since: datetime) -> Gap:
    """Look at every stop since then and the letters that left or were answered after it.

    By keys alone: the stops by their time, of each the letters to its address, of these the answers
    where the mailing had not finished long before the stop.
    """
    values = {"since": since, "stops": STOPS, "purposes": PURPOSES, "patience": PATIENCE}
    row = session.execute(_GAP, values).one()
    none = timedelta()
    return Gap(
        stops=row.stops,
        letters=row.letters,
        last_after=row.last_after or none,
        unproved=row.unproved,
        proved=row.proved or none,
    )


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
        SELECT s.id, s.at, s.address_id, s.purpose, s.channel, b.turn
        FROM consent_events s LEFT JOIN barriers b ON b.event_id = s.id
        WHERE s.at >= :since AND s.act = ANY(:stops) AND s.purpose = ANY(:purposes)
    ), known AS (
        SELECT o.delivery_id, o.state, o.at - s.at AS after, o.turn >= s.turn AS is_late,
            CAST(:patience AS interval) + coalesce((
                SELECT make_interval(secs => max(longest_s)) FROM mishap_counts
                WHERE kind = 'clock_jumped' AND "on" BETWEEN
                    (s.at - interval '1 day')::date AND (o.at + interval '1 day')::date
            ), interval '0') AS explained
        FROM stops s
        JOIN deliveries d ON d.address_id = s.address_id
        JOIN mailings m ON m.id = d.mailing_id AND m.purpose = s.purpose AND m.channel = s.channel
            AND (m.state <> 'finished' OR m.ended_at IS NULL
                 OR m.ended_at >= s.at - interval '1 day')
        JOIN outcomes o ON o.delivery_id = d.id AND o.state IN ('accepted', 'uncertain')
            AND (o.at > s.at OR o.turn >= s.turn)
        WHERE NOT EXISTS (
            SELECT FROM consent_events c
            WHERE c.address_id = s.address_id AND c.purpose = s.purpose AND c.channel = s.channel
              AND c.act = 'confirmed' AND c.id > s.id AND c.at > s.at
              AND CASE WHEN o.event_id IS NULL THEN c.at <= o.at ELSE c.id <= o.event_id END
        )
    ), judged AS (
        SELECT delivery_id, after, state = 'accepted' AND after > interval '0' AS is_answered,
            CASE WHEN is_late THEN greatest(after, interval '100 ms')
                 WHEN is_late IS NULL AND state = 'accepted' AND after > explained
                 THEN after - explained END AS proved,
            is_late IS NULL AND state = 'accepted' AND after <= explained AS is_unproved
        FROM known
    )
    SELECT (SELECT count(*) FROM stops) AS stops,
        count(DISTINCT delivery_id) FILTER (WHERE is_answered) AS letters,
        max(after) FILTER (WHERE is_answered) AS last_after,
        count(DISTINCT delivery_id) FILTER (WHERE is_unproved) AS unproved,
        max(proved) AS proved
    FROM judged
""")
