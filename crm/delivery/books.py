"""Whether the books of every mailing add up, counted from rows and by nothing else."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbalanced:
    """A mailing whose rows contradict each other, and in what."""

    mailing_id: int
    planned: int | None
    deliveries: int
    queued: int
    sending: int
    ended: int
    what: str


def unbalanced(session: Session) -> tuple[int, list[Unbalanced]]:
    """Return how many mailings were launched, and those that do not add up."""
    rows = session.execute(text(_COUNT)).mappings().all()
    found = []
    for row in rows:
        what = _contradiction(dict(row))
        if what:
            numbers = {name: row[name] for name in _NUMBERS}
            found.append(Unbalanced(**numbers, what=what))
    return len(rows), found


_NUMBERS = ("mailing_id", "planned", "deliveries", "queued", "sending", "ended")


def _contradiction(row: dict[str, int]) -> str:
    if row["planned"] != row["deliveries"]:
        return "not every planned letter has its delivery"
    if row["planned"] != row["queued"] + row["sending"] + row["ended"]:
        return "the states do not add up to what was planned"
    if row["doubled"]:
        return "a letter that has ended waits for another try"
    if row["strange"]:
        return "an outcome belongs to another mailing's letter"
    if row["finished"] and row["queued"] + row["sending"]:
        return "it is closed while letters are queued or being sent"
    return ""


_COUNT = """
    WITH d AS (
        SELECT d.mailing_id,
               o.state AS ended,
               o.mailing_id IS DISTINCT FROM d.mailing_id AND o.state IS NOT NULL AS strange,
               r.delivery_id IS NOT NULL AS waiting,
               EXISTS (SELECT 1 FROM intents i WHERE i.delivery_id = d.id) AS intended
        FROM deliveries d
        LEFT JOIN outcomes o ON o.delivery_id = d.id
        LEFT JOIN retries r ON r.delivery_id = d.id
    )
    SELECT m.id AS mailing_id,
           m.planned,
           m.state = 'finished' AS finished,
           count(d.mailing_id) AS deliveries,
           count(*) FILTER (WHERE d.mailing_id IS NOT NULL AND ended IS NULL
                                  AND (waiting OR NOT intended)) AS queued,
           count(*) FILTER (WHERE ended IS NULL AND intended AND NOT waiting) AS sending,
           count(*) FILTER (WHERE ended IN
               ('accepted', 'withheld', 'failed', 'uncertain')) AS ended,
           count(*) FILTER (WHERE ended IS NOT NULL AND waiting) AS doubled,
           count(*) FILTER (WHERE strange) AS strange
    FROM mailings m LEFT JOIN d ON d.mailing_id = m.id
    WHERE m.launched_at IS NOT NULL
    GROUP BY m.id
    ORDER BY m.id
"""
