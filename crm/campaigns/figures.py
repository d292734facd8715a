"""A mailing's figures by provider, from the sums beside its rows: a million letters cost as ten."""

from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter

from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.delivery.providers import NAMES
from crm.delivery.service import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class AtProvider:
    """What became of the letters to one provider so far."""

    provider: str
    accepted: int
    withheld: int
    failed: int
    bounced: int
    """How many of the failed have no mailbox at their address."""
    uncertain: int
    waiting: int
    """In no sender's hands yet, and not tried yet."""
    sending: int
    retries: int
    """Refused for now, to be tried again."""
    retry_at: datetime | None
    """When the first of them is."""
    rest_until: datetime | None
    """Until when letters to it are left alone; None where they are not."""

    @property
    def planned(self) -> int:
        """Return how many letters go there in all: each is in one of these states."""
        ended = self.accepted + self.withheld + self.failed + self.uncertain
        return ended + self.waiting + self.sending + self.retries


def by_provider(
    session: Session, mailing_id: int, *, at: datetime
) -> tuple[Tally, list[AtProvider]]:
    """Count a mailing in one snapshot: as a whole, without reasons, and by provider."""
    rows = session.execute(_COUNT, {"mailing_id": mailing_id, "at": at}).all()
    found = [AtProvider(**dict(zip(_FIELDS, row[1:], strict=True))) for row in rows if row[1]]
    order = list(NAMES)
    found.sort(key=lambda one: order.index(one.provider))
    return _whole(rows[0][0] if rows else 0, found), found


def _whole(planned: int, found: list[AtProvider]) -> Tally:
    ends = ("accepted", "withheld", "failed", "uncertain", "sending")
    return Tally(
        planned=planned,
        queued=sum(one.waiting + one.retries for one in found),
        reasons={},
        **{name: sum(map(attrgetter(name), found)) for name in ends},
    )


_FIELDS = [field.name for field in fields(AtProvider)]
_COUNT = text("""
    WITH parts AS (
        SELECT provider, accepted, withheld, failed, bounced, uncertain,
            0 AS waiting, 0 AS sending, 0 AS retries, CAST(NULL AS timestamptz) AS retry_at
        FROM leases WHERE mailing_id = :mailing_id
        UNION ALL
        SELECT provider, 0, 0, 0, 0, 0, waiting, 0, 0, NULL
        FROM ranges WHERE mailing_id = :mailing_id AND NOT done
        UNION ALL
        SELECT provider, 0, 0, 0, 0, 0, 0, 0, count(*), min(due_at)
        FROM retries WHERE mailing_id = :mailing_id GROUP BY provider
        UNION ALL
        SELECT l.provider, 0, 0, 0, 0, 0, 0, count(DISTINCT i.delivery_id), 0, NULL
        FROM windows w JOIN leases l ON l.fence = w.fence
            CROSS JOIN LATERAL unnest(w.delivery_ids) AS i (delivery_id)
        WHERE w.mailing_id = :mailing_id
            AND (SELECT 1 FROM outcomes o WHERE o.delivery_id = i.delivery_id) IS NULL
            AND (SELECT 1 FROM retries r WHERE r.delivery_id = i.delivery_id) IS NULL
        GROUP BY l.provider
    ), counted AS (
        SELECT provider, sum(accepted)::int AS accepted, sum(withheld)::int AS withheld,
            sum(failed)::int AS failed, sum(bounced)::int AS bounced,
            sum(uncertain)::int AS uncertain, sum(waiting)::int AS waiting,
            sum(sending)::int AS sending, sum(retries)::int AS retries, min(retry_at) AS retry_at
        FROM parts GROUP BY provider
    )
    SELECT coalesce(m.planned, 0), c.*, p.rest_until
    FROM mailings m LEFT JOIN counted c ON true
    LEFT JOIN paces p ON p.name = 'provider:' || c.provider
        AND p.rest_step > 0 AND p.rest_until > :at
    WHERE m.id = :mailing_id
""")
