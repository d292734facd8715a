"""How many letters may leave now: buckets in the database, so a flushed broker refills nothing.

A bucket holds two seconds' worth of letters, and one at least, so that no outage ends in a burst.
A statement locks a window's buckets in one order: the provider's first, which a rest in the same
transaction may have locked before, and the relay's last: a rest of the relay, too, is written after
all of them. What has no limit has no row, and two senders never wait for each other at it.

Senders' clocks may differ by ten seconds. A bucket that was filled later than that was filled by a
clock that has been set back since: it goes on from now, and has gained nothing.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.delivery.states import Lane
from crm.straight import straight


def take(
    session: Session,
    wanted: int,
    *,
    provider: str,
    mailing_id: int,
    lane: Lane,
    at: datetime,
) -> int:
    """Take up to ``wanted`` letters out of the buckets of a window; return how many there were.

    A bulk letter needs room at the relay, at its provider and in its mailing, and none at rest;
    it leaves a tenth of the relay's bucket to service letters. A service letter asks the relay's
    bucket only, at rest or not, and may take a minute's worth on credit, which bulk letters then
    pay.

    Args:
        session: committed soon after: senders behind the same limit wait for these rows.
        wanted: letters in the window, at most.
        provider: of the window's range; letters to several providers are asked for one by one.
        mailing_id: the mailing; its ``per_minute`` is one more bucket.
        lane: the sender's.
        at: now.

    """
    values = {
        "wanted": wanted,
        "provider": provider,
        "mailing_id": mailing_id,
        "bulk": lane is Lane.BULK,
        "at": at,
    }
    if not is_limited(session, provider=provider, mailing_id=mailing_id, lane=lane):
        return wanted
    while (taken := session.scalars(_TAKE, values).one_or_none()) is None:
        session.execute(_MAKE, values)
    return int(taken)


def is_limited(session: Session, *, provider: str, mailing_id: int, lane: Lane) -> bool:
    """Return whether anything at all limits these letters, be it only a rest."""
    values = {"provider": provider, "mailing_id": mailing_id, "bulk": lane is Lane.BULK}
    limited: bool = session.scalars(_LIMITED, values).one()
    return limited


def dry(session: Session, *, at: datetime) -> set[str]:
    """Return the names of what has no letter to give to bulk senders now, or is at rest."""
    [rows] = straight(session, (DRY, {"at": at}))
    return {name for (name,) in rows}


_LIMITED = text("""
    SELECT EXISTS (SELECT FROM clinic WHERE letters_per_minute > 0)
        OR :bulk AND (
            EXISTS (SELECT FROM provider_manners
                    WHERE name = :provider AND (warm_up OR target_per_hour > 0))
            OR EXISTS (SELECT FROM mailings WHERE id = :mailing_id AND per_minute > 0)
            OR EXISTS (SELECT FROM paces
                       WHERE name IN ('relay', 'provider:' || :provider) AND rest_step > 0)
        )
""")
"""Asked first: where nothing is limited, which is where it has to be fast, it is all."""

_LIMITS = """
    SELECT name, per_minute, greatest(1, per_minute / 30) AS brim,
        name NOT LIKE 'provider:%' AS turn
    FROM (
        SELECT 'relay' AS name, CAST(letters_per_minute AS float8) AS per_minute FROM clinic
        UNION ALL
        SELECT 'provider:' || name, CAST(CASE
            WHEN warm_up THEN least(per_hour, target_per_hour) ELSE target_per_hour
            END AS float8) / 60
        FROM provider_manners WHERE name = :provider AND :bulk
        UNION ALL
        SELECT 'mailing:' || id, CAST(per_minute AS float8)
        FROM mailings WHERE id = :mailing_id AND :bulk
    ) AS known WHERE per_minute > 0
"""

_TAKE = text(f"""
    WITH limits AS ({_LIMITS}), resting AS (
        SELECT FROM paces
        WHERE rest_until > :at AND rested_at <= :at + interval '10 seconds'
          AND :bulk AND name IN ('relay', 'provider:' || :provider)
    ), lacking AS (
        SELECT FROM limits l WHERE NOT EXISTS (SELECT FROM paces WHERE name = l.name)
    ), held AS (
        SELECT p.name, p.tokens, p.filled_at FROM paces p JOIN limits USING (name)
        WHERE NOT EXISTS (SELECT FROM lacking) ORDER BY turn, p.name FOR UPDATE OF p
    ), buckets AS (
        SELECT name, l.per_minute,
            least(brim, h.tokens + greatest(0, behind) * l.per_minute / 60) AS tokens,
            CASE WHEN behind BETWEEN -10 AND 0 THEN h.filled_at ELSE :at END AS filled_at,
            CASE WHEN NOT :bulk THEN -l.per_minute
                 WHEN name = 'relay' THEN least(brim / 10, brim - 1)
                 ELSE 0 END AS kept
        FROM limits l JOIN held h USING (name),
            LATERAL (SELECT CAST(extract(epoch FROM :at - h.filled_at) AS float8)) AS b (behind)
    ), taken AS (
        SELECT CASE WHEN EXISTS (SELECT FROM resting) THEN 0
            ELSE CAST(greatest(0, least(:wanted, floor(min(tokens - kept)))) AS int)
            END AS letters
        FROM buckets
    ), emptied AS (
        UPDATE paces p
        SET tokens = b.tokens - letters, filled_at = b.filled_at, per_minute = b.per_minute
        FROM buckets b, taken WHERE p.name = b.name
    )
    SELECT letters FROM taken WHERE NOT EXISTS (SELECT FROM lacking)
""")  # noqa: S608 - constants
"""No row where a bucket is lacking: see _MAKE."""

_MAKE = text(f"""
    INSERT INTO paces (name, tokens, filled_at, per_minute, rest_step)
    SELECT name, brim, :at, per_minute, 0 FROM ({_LIMITS}) AS limits ORDER BY turn, name
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - constants

DRY: Final = """
    SELECT name FROM (SELECT %(at)s::timestamptz) AS now (at), paces,
        LATERAL (SELECT greatest(1, per_minute / 30),
                        CAST(extract(epoch FROM now.at - filled_at) AS float8)) AS b (brim, behind)
    WHERE rest_step > 0 AND rest_until > now.at AND rested_at <= now.at + interval '10 seconds'
       OR behind >= -10
          AND least(brim, tokens + greatest(0, behind) * per_minute / 60)
              - CASE name WHEN 'relay' THEN least(brim / 10, brim - 1) ELSE 0 END < 1
"""
"""The names of what has nothing to give to bulk senders at ``at``, or is at rest.

For the statement that leases a range: with ``dry AS (…)``, take no range ``r`` for which ``dry``
has one of ``'relay'``, ``'provider:' || r.provider``, ``'mailing:' || r.mailing_id``.
"""
