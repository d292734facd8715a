"""How a campaign is going, counted from rows."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.campaigns.figures import AtProvider, by_provider
from crm.campaigns.models import Campaign
from crm.campaigns.rules import RATE_OVER, minutes_left
from crm.consent.rules import Reason
from crm.delivery.models import Lease, Mailing, Outcome
from crm.delivery.service import Tally
from crm.delivery.states import DeliveryState, MailingState
from crm.staff.models import Staff

ENDED = frozenset({MailingState.STOPPED, MailingState.FINISHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look at a mailing under way."""

    state: MailingState
    tally: Tally
    """Without reasons: those are counted from rows, and would cost more with each letter."""
    providers: list[AtProvider]
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

    @property
    def retries(self) -> int:
        """Return how many letters were refused for now and wait for another try."""
        return sum(one.retries for one in self.providers)

    @property
    def retry_at(self) -> datetime | None:
        """Return when the first of them is tried; None where there are none."""
        return min((one.retry_at for one in self.providers if one.retry_at), default=None)

    def is_work_open(self, *, at: datetime) -> bool:
        """Return whether a sender has something to do with it now."""
        due = self.retry_at is not None and self.retry_at <= at
        return self.tally.queued > self.retries or self.tally.sending > 0 or due


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
    """Count the mailing. Costs the same whatever has ended of it: it is polled."""
    tally, providers = by_provider(session, mailing.id, at=at)
    running = mailing.state is MailingState.RUNNING
    per_minute = _last_minute(session, mailing.id, at=at) if running else 0
    return Progress(
        state=mailing.state,
        tally=tally,
        providers=providers,
        per_minute=per_minute,
        minutes_left=minutes_left(tally.queued, per_minute) if running and tally.queued else None,
    )


def _last_minute(session: Session, mailing_id: int, *, at: datetime) -> int:
    ended = select(func.count()).where(
        Outcome.mailing_id == mailing_id,
        Outcome.at > at - RATE_OVER,
        Outcome.state != DeliveryState.WITHHELD,
    )
    return session.scalar(ended) or 0


def withheld(session: Session, mailing: Mailing) -> dict[Reason, int]:
    """Return why letters of it were withheld; counted from rows while it has no certificate."""
    if mailing.certificate is not None:
        return {Reason(name): count for name, count in mailing.certificate["reasons"].items()}
    rows = session.execute(
        select(Outcome.reason, func.count())
        .where(Outcome.mailing_id == mailing.id, Outcome.state == DeliveryState.WITHHELD)
        .group_by(Outcome.reason)
    )
    return {reason: count for reason, count in rows if reason is not None}


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
