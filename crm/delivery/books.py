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
    for is_wrong, what in (
        (row["planned"] != row["deliveries"], "not every planned letter has its delivery"),
        (
            row["planned"] != row["queued"] + row["sending"] + row["ended"],
            "the states do not add up to what was planned",
        ),
        (row["doubled"], "a letter that has ended waits for another try"),
        (row["strange"], "an outcome belongs to another mailing's letter"),
        (row["strays"], "an outcome belongs to no letter"),
        (row["ended"] != row["summed"], "the sums of the leases are not those of the rows"),
        (row["untouched"] != row["waiting"], "the sums of the ranges are not those of the rows"),
        (
            row["finished"] and row["queued"] + row["sending"],
            "it is closed while letters are queued or being sent",
        ),
    ):
        if is_wrong:
            return what
    return ""


_COUNT = """
    WITH d AS (
        SELECT d.mailing_id,
               o.state AS ended,
               o.mailing_id IS DISTINCT FROM d.mailing_id AND o.state IS NOT NULL AS strange,
               r.delivery_id IS NOT NULL AS waiting,
               EXISTS (SELECT 1 FROM windows w WHERE w.mailing_id = d.mailing_id
                       AND d.id = ANY (w.delivery_ids)) AS in_hand
        FROM deliveries d
        LEFT JOIN outcomes o ON o.delivery_id = d.id
        LEFT JOIN retries r ON r.delivery_id = d.id
    ), letters AS (
        SELECT mailing_id,
               count(*) AS deliveries,
               count(*) FILTER (WHERE ended IS NULL AND waiting) AS again,
               count(*) FILTER (WHERE ended IS NULL AND in_hand AND NOT waiting) AS sending,
               count(*) FILTER (WHERE ended IN
                   ('accepted', 'withheld', 'failed', 'uncertain')) AS ended,
               count(*) FILTER (WHERE ended IS NOT NULL AND waiting) AS doubled,
               count(*) FILTER (WHERE strange) AS strange
        FROM d GROUP BY mailing_id
    ), untouched AS (
        SELECT r.mailing_id, sum(r.waiting) AS waiting, sum(n.untouched) AS untouched
        FROM ranges r CROSS JOIN LATERAL (
            SELECT count(*) AS untouched FROM deliveries d LEFT JOIN outcomes o
                ON o.delivery_id = d.id
            WHERE d.mailing_id + 0 = r.mailing_id AND d.id BETWEEN r.next_id AND r.high
              AND o.delivery_id IS NULL
        ) AS n
        WHERE NOT r.done GROUP BY r.mailing_id
    ), summed AS (
        SELECT mailing_id, sum(accepted + withheld + failed + uncertain) AS summed
        FROM leases GROUP BY mailing_id
    ), strays AS (
        SELECT o.mailing_id, count(*) AS strays FROM outcomes o
        WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = o.delivery_id)
        GROUP BY o.mailing_id
    )
    SELECT m.id AS mailing_id,
           m.planned,
           m.state = 'finished' AS finished,
           COALESCE(deliveries, 0) AS deliveries,
           COALESCE(again, 0) + COALESCE(untouched, 0) AS queued,
           COALESCE(sending, 0) AS sending,
           COALESCE(ended, 0) AS ended,
           COALESCE(doubled, 0) AS doubled,
           COALESCE(strange, 0) AS strange,
           COALESCE(strays, 0) AS strays,
           COALESCE(summed, 0) AS summed,
           COALESCE(waiting, 0) AS waiting,
           COALESCE(untouched, 0) AS untouched
    FROM mailings m
    LEFT JOIN letters ON letters.mailing_id = m.id
    LEFT JOIN untouched ON untouched.mailing_id = m.id
    LEFT JOIN summed ON summed.mailing_id = m.id
    LEFT JOIN strays ON strays.mailing_id = m.id
    WHERE m.launched_at IS NOT NULL
    ORDER BY m.id
"""
