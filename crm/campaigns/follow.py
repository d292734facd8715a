"""How a campaign is going, counted from rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.campaigns.models import Campaign
from crm.campaigns.rules import RATE_OVER, minutes_left
from crm.delivery import service as delivery
from crm.delivery.models import Lease, Mailing, Outcome
from crm.delivery.service import Tally
from crm.delivery.states import DeliveryState, MailingState
from crm.staff.models import Staff

ENDED = frozenset({MailingState.STOPPED, MailingState.FINISHED})
_STEPS = (
    "campaign.approved",
    "campaign.launched",
    "campaign.paused",
    "campaign.resumed",
    "campaign.stopped",
    "campaign.sent_late",
    "campaign.halted",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look at a mailing under way."""

    state: MailingState
    tally: Tally
    per_minute: int
    """Letters that ended in the last minute."""
    minutes_left: int | None

    @property
    def ended(self) -> bool:
        """Return whether nothing will change any more: polling may stop."""
        return self.state in ENDED and self.tally.queued == 0 and self.tally.sending == 0

    @property
    def adds_up(self) -> bool:
        """Return whether every planned letter is in exactly one state."""
        return self.tally.planned == self.tally.settled + self.tally.queued + self.tally.sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that was done to a campaign, for its history."""

    act: str
    at: datetime
    who: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A campaign in the list."""

    campaign: Campaign
    mailing: Mailing | None
    created_by: str
    approved_by: str | None
    accepted: int
    ended: int

    @property
    def id(self) -> int:
        """Return the campaign's id: the list is paged by it."""
        return self.campaign.id


def progress(session: Session, mailing: Mailing, *, at: datetime) -> Progress:
    """Count the mailing."""
    tally = delivery.tally(session, mailing.id)
    per_minute = (
        session.scalar(
            select(func.count()).where(
                Outcome.mailing_id == mailing.id,
                Outcome.at > at - RATE_OVER,
                Outcome.state != DeliveryState.WITHHELD,
            )
        )
        or 0
    )
    running = mailing.state is MailingState.RUNNING
    return Progress(
        state=mailing.state,
        tally=tally,
        per_minute=per_minute if running else 0,
        minutes_left=minutes_left(tally.queued, per_minute) if running and tally.queued else None,
    )


def history(session: Session, campaign_id: int) -> list[Step]:
    """Return what was done since the approval, the newest first."""
    rows = session.execute(
        select(AuditEvent.act, AuditEvent.at, Staff.name, AuditEvent.detail)
        .outerjoin(Staff, Staff.id == AuditEvent.actor_id)
        .where(
            AuditEvent.subject == "campaign",
            AuditEvent.subject_id == campaign_id,
            AuditEvent.act.in_(_STEPS),
        )
        .order_by(AuditEvent.id.desc())
        .limit(50)
    )
    return [Step(act=row[0], at=row[1], who=row[2], detail=row[3]) for row in rows]


def listed(
    session: Session, *, after_id: int | None, before_id: int | None, limit: int
) -> list[Row]:
    """Return campaigns, the newest first, with what became of their letters so far."""
    query = select(Campaign, Mailing).outerjoin(Mailing, Mailing.id == Campaign.mailing_id)
    if before_id is not None:
        query = query.where(Campaign.id > before_id).order_by(Campaign.id)
    else:
        query = query.order_by(Campaign.id.desc())
    if after_id is not None:
        query = query.where(Campaign.id < after_id)
    found: list[tuple[Campaign, Mailing | None]] = [
        (row[0], row[1]) for row in session.execute(query.limit(limit))
    ]
    if before_id is not None:
        found.reverse()
    return _with_facts(session, found)


def _with_facts(session: Session, found: list[tuple[Campaign, Mailing | None]]) -> list[Row]:
    counted = _counted(session, [mailing.id for _campaign, mailing in found if mailing])
    names = {row[0]: row[1] for row in session.execute(select(Staff.id, Staff.name))}
    return [
        Row(
            campaign=campaign,
            mailing=mailing,
            created_by=names.get(campaign.created_by, ""),
            approved_by=names.get(campaign.approved_by or 0),
            accepted=counted.get(mailing.id, (0, 0))[0] if mailing else 0,
            ended=counted.get(mailing.id, (0, 0))[1] if mailing else 0,
        )
        for campaign, mailing in found
    ]


def _counted(session: Session, mailing_ids: list[int]) -> dict[int, tuple[int, int]]:
    ended = Lease.accepted + Lease.withheld + Lease.failed + Lease.uncertain
    rows = session.execute(
        select(Lease.mailing_id, func.sum(Lease.accepted), func.sum(ended))
        .where(Lease.mailing_id.in_(mailing_ids))
        .group_by(Lease.mailing_id)
    )
    return {row[0]: (row[1], row[2]) for row in rows}
