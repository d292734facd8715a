"""What was done to a campaign's mailings, and by whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.campaigns.models import Campaign
from crm.delivery.models import Mailing
from crm.delivery.resend import RESENT
from crm.staff.models import Staff

_STEPS = (
    "campaign.approved",
    "campaign.launched",
    "campaign.paused",
    "campaign.resumed",
    "campaign.stopped",
    "campaign.sent_late",
    "campaign.halted",
    "campaign.speed_set",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A mailing that sends letters again, and who wanted it."""

    mailing: Mailing
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that was done to a campaign, for its history."""

    act: str
    at: datetime
    who: str | None
    detail: dict[str, Any]


def history(session: Session, campaign: Campaign, mailing: Mailing) -> list[Step]:
    """Return what was done to one of the campaign's mailings, the newest first."""
    rows = session.execute(
        select(AuditEvent.act, AuditEvent.at, Staff.name, AuditEvent.detail)
        .outerjoin(Staff, Staff.id == AuditEvent.actor_id)
        .where(or_(_done_to(campaign, mailing), _resent_from_or_as(mailing)))
        .order_by(AuditEvent.id.desc())
        .limit(50)
    )
    return [Step(act=row[0], at=row[1], who=row[2], detail=row[3]) for row in rows]


def _done_to(campaign: Campaign, mailing: Mailing) -> ColumnElement[bool]:
    unnamed = _MAILING_ID.is_(None) if mailing.resends_id is None else false()
    return and_(
        AuditEvent.subject == "campaign",
        AuditEvent.subject_id == campaign.id,
        AuditEvent.act.in_(_STEPS),
        or_(mailing.id == _MAILING_ID, unnamed),
    )


def _resent_from_or_as(mailing: Mailing) -> ColumnElement[bool]:
    return and_(
        AuditEvent.subject == "mailing",
        AuditEvent.act == RESENT,
        or_(
            AuditEvent.subject_id == mailing.id,
            and_(AuditEvent.subject_id == mailing.resends_id, mailing.id == _AGAIN_ID),
        ),
    )


def sent_again(session: Session, mailing_id: int) -> list[Again]:
    """Return the mailings that send uncertain letters of this one again, the newest first."""
    wanted = and_(
        AuditEvent.subject == "mailing",
        AuditEvent.subject_id == mailing_id,
        AuditEvent.act == RESENT,
        Mailing.id == _AGAIN_ID,
    )
    rows = session.execute(
        select(Mailing, Staff.name)
        .outerjoin(AuditEvent, wanted)
        .outerjoin(Staff, Staff.id == AuditEvent.actor_id)
        .where(Mailing.resends_id == mailing_id)
        .order_by(Mailing.id.desc())
    )
    return [Again(mailing=row[0], by=row[1]) for row in rows]


def list_hash(session: Session, campaign: Campaign, mailing: Mailing) -> str | None:
    """Return the hash of the list of recipients that the audit keeps, where it keeps one."""
    noted = select(AuditEvent.detail["list_hash"].as_string()).where(
        _done_to(campaign, mailing), AuditEvent.detail.has_key("list_hash")
    )
    return session.scalar(noted.order_by(AuditEvent.id).limit(1))


_MAILING_ID = AuditEvent.detail["mailing_id"].as_integer()
_AGAIN_ID = AuditEvent.detail["again_id"].as_integer()
