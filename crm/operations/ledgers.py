"""What still waits to be sealed, and to be written into the journal."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.audit.models import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Events that wait."""

    waiting: int = 0
    since: datetime | None = None
    """When the first of them happened."""


def unsealed(session: Session) -> dict[Log, Backlog]:
    """Return the events of each log that are in no block yet.

    They wait since they happened, or since the last block: what is loaded with its own old time
    has not been waiting since then.
    """
    rows = session.execute(_UNSEALED)
    found = {Log(row.log): Backlog(waiting=row.waiting, since=row.since) for row in rows}
    return {log: found.get(log, Backlog()) for log in Log}


def unjournalled(session: Session) -> Backlog:
    """Return the stops that are not in the journal yet."""
    row = session.execute(_UNJOURNALLED).one()
    return Backlog(waiting=row.waiting, since=row.since)


_UNSEALED = text("""
    SELECT u.log, u.waiting,
        greatest(
            CASE u.log WHEN 'consent' THEN (SELECT at FROM consent_events e WHERE e.id = u.first)
                       ELSE (SELECT at FROM audit_events e WHERE e.id = u.first) END,
            (SELECT b.sealed_at FROM seal_blocks b WHERE b.log = u.log
             ORDER BY b.number DESC LIMIT 1)
        ) AS since
    FROM (SELECT log, count(*) AS waiting, min(event_id) AS first FROM unsealed GROUP BY log) u
""")
_UNJOURNALLED = text("""
    SELECT u.waiting, (SELECT at FROM consent_events e WHERE e.id = u.first) AS since
    FROM (SELECT count(*) AS waiting, min(event_id) AS first FROM unjournalled) u
""")
