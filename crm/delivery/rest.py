"""Destinations that are left alone for a while: a provider, another domain, or the relay itself.

A rest hinders one destination only. Its name is ``manners.destination``'s, or ``manners.RELAY``.
The relay's holds back campaigns: service letters are few, and are tried all the same.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.delivery.manners import RESTS
from crm.delivery.pacing_models import Pace

_DOMAIN = "domain:"
_FORGOTTEN_AFTER = timedelta(days=2)
_CLOCKS_DIFFER = timedelta(seconds=10)


def rest(session: Session, destination: str, *, because: str, at: datetime) -> None:
    """Leave the destination alone for 15 minutes; the next times for an hour, for four hours.

    Refusals of letters that were under way already do not lengthen a rest. Let several rest in the
    order of their names, and the relay at the end of the transaction (``pace.take`` locks it last).
    """
    steps = [pause.total_seconds() for pause in RESTS]
    values = {"name": destination, "because": because[:200], "steps": steps, "at": at}
    session.execute(_REST, values)


def wake(session: Session, destinations: Collection[str], *, at: datetime) -> None:
    """Forget the steps of these destinations: after their rest, they have accepted a letter.

    The relay at the end of the transaction, as in ``rest``.
    """
    over = select(Pace.name).where(
        Pace.name.in_(destinations), Pace.rest_step > 0, Pace.rest_until <= at
    )
    session.execute(
        update(Pace)
        .where(Pace.name.in_(over.order_by(Pace.name).with_for_update()))
        .values(rest_step=0, rested_at=None, rest_until=None, because=None)
        .execution_options(synchronize_session=False)
    )


def lift(session: Session, destination: str, *, at: datetime, by: int) -> bool:
    """End a rest by a person's decision; return whether there was one.

    The audit log names no domain: it may be somebody's own.
    """
    lifted = session.scalar(
        update(Pace)
        .where(Pace.name == destination, Pace.rest_step > 0)
        .values(rest_step=0, rested_at=None, rest_until=None, because=None)
        .returning(Pace.name)
        .execution_options(synchronize_session=False)
    )
    if lifted is None:
        return False
    kind, _colon, provider = destination.partition(":")
    known = provider if kind == "provider" else kind
    note(session, "rest.lifted", at=at, actor_id=by, provider=known)
    return True


def rests(session: Session) -> dict[str, datetime]:
    """Return the destinations whose steps are remembered, and until when each rests, or rested.

    One whose time is past is to be woken by the first letter that it accepts.
    """
    rows = session.execute(select(Pace.name, Pace.rest_until).where(Pace.rest_step > 0))
    return {row.name: row.rest_until for row in rows}


def resting(session: Session, *, at: datetime) -> list[Pace]:
    """Return what is at rest now, the first to go on first."""
    found = select(Pace).where(Pace.rest_step > 0, Pace.rest_until > at)
    return list(session.scalars(found.order_by(Pace.rest_until, Pace.name)))


def resting_domains(session: Session, *, at: datetime) -> dict[str, datetime]:
    """Return the domains at rest, and until when: letters to them wait without a try."""
    rows = session.execute(
        select(Pace.name, Pace.rest_until).where(
            Pace.rest_step > 0,
            Pace.name.startswith(_DOMAIN),
            Pace.rest_until > at,
            Pace.rested_at <= at + _CLOCKS_DIFFER,
        )
    )
    return {row.name.removeprefix(_DOMAIN): row.rest_until for row in rows}


def forget(session: Session, *, at: datetime) -> None:
    """Drop the rows of what has neither a limit nor, for two days, a rest."""
    session.execute(
        delete(Pace)
        .where(
            Pace.per_minute.is_(None),
            (Pace.rest_step == 0) | (Pace.rest_until < at - _FORGOTTEN_AFTER),
        )
        .execution_options(synchronize_session=False)
    )


_REST = text("""
    INSERT INTO paces AS p (name, tokens, filled_at, rest_step, rested_at, rest_until, because)
    VALUES (:name, 0, :at, 1, :at, :at + make_interval(secs => (:steps)[1]), :because)
    ON CONFLICT (name) DO UPDATE
    SET rest_step = least(p.rest_step + 1, 3), rested_at = :at, because = :because,
        rest_until = :at + make_interval(secs => (:steps)[least(p.rest_step + 1, 3)])
    WHERE p.rest_step = 0 OR p.rest_until <= :at OR p.rested_at > :at + interval '10 seconds'
""")
