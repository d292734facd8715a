"""Leases: a sender's right to a piece of work, and the counter that shows it is alive."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from crm.consent.rules import Purpose
from crm.delivery.models import Lease
from crm.delivery.pace import DRY
from crm.delivery.states import Lane, LeaseState
from crm.mail.addresses import PROVIDERS
from crm.straight import array, straight


class Fenced(Exception):  # noqa: N818 - it is what happened to the sender
    """The lease is dead: somebody else has this work now, and nothing may be written under it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a sender holds: a range of a mailing, or (without one) some of its due retries."""

    fence: int
    mailing_id: int
    provider: str
    range_id: int | None
    letters: int
    """How many it is for."""
    purpose: Purpose
    uncapped: bool
    key: UUID
    """The mailing's name outside the database."""
    is_probed: bool
    """Bounces of the mailing's first letters have been waited for."""


def take_range(
    session: Session, lane: Lane, but_not: Collection[str] = (), *, at: datetime
) -> Work | None:
    """Lease the next free range of a running mailing, or return None.

    ``but_not`` are providers to pass over.
    """
    return _take(session, _TAKE_RANGE, lane=lane.value, providers=_others(but_not), at=at)


def take_retries(
    session: Session, lane: Lane, but_not: Collection[str] = (), *, at: datetime, limit: int
) -> Work | None:
    """Lease up to ``limit`` due retries of one running mailing at one provider, or return None."""
    values = {"lane": lane.value, "providers": _others(but_not), "at": at, "limit": limit}
    return _take(session, _TAKE_RETRIES, **values)


def _others(but_not: Collection[str]) -> str:
    return array(provider for provider in PROVIDERS if provider not in but_not)


def beat(session: Session, fences: Collection[int]) -> set[int]:
    """Show that their holder lives and commit it; return the leases it still holds.

    For the time in which it waits for a relay. Where results are written, ``window.write`` beats.
    """
    held = session.scalars(
        update(Lease)
        .where(Lease.fence.in_(fences), Lease.state == LeaseState.LIVE)
        .values(beats=Lease.beats + 1)
        .returning(Lease.fence)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return set(held)


def give_back(session: Session, fence: int) -> None:
    """End a lease; what it did not get to is free again."""
    values = {"fence": fence}
    straight(session, (_FREE_RANGE, values), (_FREE_RETRIES, values), (_END, values))


def _take(session: Session, statement: str, **values: Any) -> Work | None:
    [rows] = straight(session, (statement, values))
    if not rows:
        return None
    work = Work(*rows[0])
    return replace(work, purpose=Purpose(work.purpose))


_FREE_RANGE = "UPDATE ranges SET fence = NULL WHERE fence = %(fence)s"
_FREE_RETRIES = "UPDATE retries SET fence = NULL WHERE fence = %(fence)s"
_END = "UPDATE leases SET state = 'ended' WHERE fence = %(fence)s AND state = 'live'"


_NEW_LEASE = """
    INSERT INTO leases (lane, mailing_id, provider, state, beats, windows, taken_at,
                        accepted, withheld, failed, uncertain, bounced)
    SELECT %(lane)s::varchar, mailing_id, provider, 'live', 0, 0, %(at)s::timestamptz, 0, 0, 0, 0, 0
"""

_OPEN = """
    SELECT m.id AS mailing_id, p.provider, m.due_at, m.purpose, m.uncapped, m.key, m.is_probed
    FROM mailings m CROSS JOIN unnest(%(providers)s::varchar[]) AS p (provider)
    WHERE m.state = 'running' AND m.lane = %(lane)s::varchar
      AND (m.probe_until IS NULL OR m.is_probed)
      AND (%(lane)s::varchar = 'service' OR NOT EXISTS (SELECT 1 FROM dry WHERE name IN
          ('relay', 'provider:' || p.provider, 'mailing:' || m.id)))
"""
"""Where the pace lets a letter leave: one that does not holds up no other. Each mailing and each
provider of it is looked up by key, however many ranges and retries there are."""

_FREE_OF_RANGES = "r.fence IS NULL AND NOT r.done ORDER BY r.low LIMIT 1"
_DUE_OF_RETRIES = "r.fence IS NULL AND r.due_at <= %(at)s::timestamptz ORDER BY r.due_at"
"""What no primary key can put in order: a plan made while the tables were empty must not walk
along one when they are full. For the same reason each step is a LATERAL."""

_TAKE_RANGE = f"""
    WITH dry AS ({DRY}), open AS MATERIALIZED (
        SELECT o.* FROM ({_OPEN}) AS o CROSS JOIN LATERAL (
            SELECT 1 FROM ranges r WHERE r.mailing_id = o.mailing_id AND r.provider = o.provider
            AND {_FREE_OF_RANGES}
        ) AS r ORDER BY o.due_at, o.mailing_id LIMIT 1
    ), free AS MATERIALIZED (
        SELECT r.id, open.* FROM open CROSS JOIN LATERAL (
            SELECT r.id FROM ranges r
            WHERE r.mailing_id = open.mailing_id AND r.provider = open.provider
            AND {_FREE_OF_RANGES} FOR UPDATE SKIP LOCKED
        ) AS r
    ), held AS (
        {_NEW_LEASE} FROM free RETURNING fence
    )
    UPDATE ranges SET fence = held.fence FROM free, held
    WHERE ranges.id = (SELECT id FROM free)
    RETURNING ranges.fence, ranges.mailing_id, ranges.provider, ranges.id AS range_id,
        ranges.waiting AS letters,
        free.purpose, free.uncapped, free.key, free.is_probed
"""  # noqa: S608 - constants

_TAKE_RETRIES = f"""
    WITH dry AS ({DRY}), due AS MATERIALIZED (
        SELECT o.* FROM ({_OPEN}) AS o CROSS JOIN LATERAL (
            SELECT 1 FROM retries r WHERE r.mailing_id = o.mailing_id AND r.provider = o.provider
            AND {_DUE_OF_RETRIES} LIMIT 1
        ) AS r ORDER BY o.due_at, o.mailing_id LIMIT 1
    ), chosen AS MATERIALIZED (
        SELECT r.delivery_id, due.* FROM due CROSS JOIN LATERAL (
            SELECT r.delivery_id FROM retries r
            WHERE r.mailing_id = due.mailing_id AND r.provider = due.provider
            AND {_DUE_OF_RETRIES}, r.delivery_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        ) AS r
    ), held AS (
        {_NEW_LEASE} FROM chosen LIMIT 1 RETURNING fence
    )
    UPDATE retries SET fence = held.fence FROM held, (SELECT * FROM chosen LIMIT 1) AS chosen
    WHERE retries.delivery_id = ANY (ARRAY(SELECT delivery_id FROM chosen AS all_chosen))
    RETURNING retries.fence, retries.mailing_id, retries.provider, NULL::bigint AS range_id,
        (SELECT count(*) FROM chosen AS all_chosen)::int AS letters,
        chosen.purpose, chosen.uncapped, chosen.key, chosen.is_probed
"""  # noqa: S608 - constants
