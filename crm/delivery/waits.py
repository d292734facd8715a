"""What a mailing waits for, as data: its page puts it into words."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.engine import RowMapping
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.consent.rules import Purpose
from crm.delivery.manners import RELAY
from crm.delivery.models import Mailing, Range, Retry
from crm.delivery.pacing_models import ProviderManners
from crm.delivery.quiet import quiet_until
from crm.delivery.states import MailingState


class Wait(StrEnum):
    QUIET_HOURS = "quiet_hours"
    BOUNCES = "bounces"
    """Of its first letters, which have all left (``probe``)."""
    RELAY_REST = "relay_rest"
    PROVIDER_REST = "provider_rest"
    MAILING_PACE = "mailing_pace"
    RELAY_PACE = "relay_pace"
    WARM_UP = "warm_up"
    PROVIDER_PACE = "provider_pace"
    RETRIES = "retries"
    """Only letters that were refused for now are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What keeps a running mailing from going faster now."""

    kind: Wait
    provider: str | None = None
    per_minute: float | None = None
    until: datetime | None = None
    """When a rest, the quiet hours, the wait for bounces or the first pause of a retry ends; None
    for a pace."""
    because: str | None = None
    """The reply that began a rest."""


def waits_for(session: Session, mailing: Mailing, *, at: datetime) -> Waiting | None:
    """Return what a mailing waits for; None where it is not running, or goes as fast as it can.

    A provider is named only where letters to it are left; where several are slow, the one at rest
    first, then the slowest.
    """
    if mailing.state is not MailingState.RUNNING:
        return None
    by_the_clock = _quiet(session, mailing, at=at) or _bounces(mailing, at=at)
    return by_the_clock or _paced(session, mailing, at=at)


def _quiet(session: Session, mailing: Mailing, *, at: datetime) -> Waiting | None:
    if mailing.purpose is not Purpose.MARKETING:
        return None
    clinic = details(session)
    ends = quiet_until(at, ZoneInfo(clinic.zone), begin=clinic.quiet_from, end=clinic.quiet_until)
    return Waiting(kind=Wait.QUIET_HOURS, until=ends) if ends else None


def _bounces(mailing: Mailing, *, at: datetime) -> Waiting | None:
    until = mailing.probe_until
    is_waiting = until is not None and until > at and not mailing.is_probed
    return Waiting(kind=Wait.BOUNCES, until=until) if is_waiting else None


def _paced(session: Session, mailing: Mailing, *, at: datetime) -> Waiting | None:
    open_ranges = select(Range.provider).where(Range.mailing_id == mailing.id, ~Range.done)
    providers = set(session.scalars(open_ranges.distinct()))
    names = [RELAY, f"mailing:{mailing.id}", *(f"provider:{name}" for name in providers)]
    rows = session.execute(_SLOW, {"names": names, "at": at}).mappings()
    found = min(rows, key=_precedence, default=None)
    if not providers and not (found and _is_rest_of_relay(found)):
        return _retries(session, mailing)
    return _named(session, found) if found else None


def _is_rest_of_relay(row: RowMapping) -> bool:
    return row["name"] == RELAY and row["rest_until"] is not None


def _precedence(row: RowMapping) -> tuple[bool, int, float]:
    kinds = ["relay", "mailing", "provider"]
    return row["rest_until"] is None, kinds.index(_kind(row)), row["per_minute"] or 0.0


def _kind(row: RowMapping) -> str:
    name: str = row["name"]
    return name.partition(":")[0]


def _named(session: Session, row: RowMapping) -> Waiting:
    kind = _kind(row)
    provider = row["name"].partition(":")[2] if kind == "provider" else None
    if row["rest_until"] is not None:
        rest = Wait.PROVIDER_REST if provider else Wait.RELAY_REST
        return Waiting(
            kind=rest, provider=provider, until=row["rest_until"], because=row["because"]
        )
    pace = Wait(f"{kind}_pace")
    manners = session.get(ProviderManners, provider) if provider else None
    if manners and manners.warm_up and manners.per_hour < manners.target_per_hour:
        pace = Wait.WARM_UP
    return Waiting(kind=pace, provider=provider, per_minute=row["per_minute"])


def _retries(session: Session, mailing: Mailing) -> Waiting | None:
    due_at = session.scalar(select(func.min(Retry.due_at)).where(Retry.mailing_id == mailing.id))
    return Waiting(kind=Wait.RETRIES, until=due_at) if due_at else None


_SLOW = text("""
    SELECT name, per_minute, because,
        CASE WHEN rest_until > :at AND rested_at <= :at + interval '10 seconds'
             THEN rest_until END AS rest_until
    FROM paces,
        LATERAL (SELECT greatest(1, per_minute / 30),
                        CAST(extract(epoch FROM :at - filled_at) AS float8)) AS b (brim, behind)
    WHERE name = ANY(:names) AND (
        rest_until > :at AND rested_at <= :at + interval '10 seconds'
        OR tokens + greatest(0, behind) * per_minute / 60
           < greatest(brim / 2, 1 + least(brim / 10, brim - 1))
    )
""")
"""A bucket that is less than half full is what letters wait for."""
