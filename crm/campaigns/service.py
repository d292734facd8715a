"""What staff do to a campaign: approve, pause, resume, stop; and its launch when it is due."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.campaigns import audience
from crm.campaigns.drafts import locked
from crm.campaigns.letter import compiled, envelope, errors, notices
from crm.campaigns.models import Campaign
from crm.clinic.service import details, missing
from crm.config import Settings
from crm.consent.rules import Purpose, Reason
from crm.delivery import service as delivery
from crm.delivery.models import Mailing
from crm.delivery.speed import change_speed
from crm.delivery.states import MailingState
from crm.errors import NotFound, WrongState


class Hitch(StrEnum):
    """Why an approval did not become a mailing. Nothing was changed."""

    ALREADY = "already"
    """It was approved before: a second click, another tab."""
    LETTER_CHANGED = "letter_changed"
    """Somebody saved the letter after the page was shown."""
    NUMBER_GREW = "number_grew"
    """More people would get it than stood in the button."""
    NOBODY = "nobody"
    DETAILS_MISSING = "details_missing"
    LETTER_FAULTY = "letter_faulty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a named person said yes to."""

    count: int
    """The number that stood in the button."""
    revision: int
    due_at: datetime
    staff_id: int
    per_minute: int | None = None
    """The campaign's own speed; None: as fast as the other limits allow."""


def find(session: Session, campaign_id: int) -> Campaign:
    """Return the campaign. Raises NotFound."""
    campaign = session.get(Campaign, campaign_id)
    if campaign is None:
        raise NotFound(f"campaign {campaign_id}")
    return campaign


def mailing_of(session: Session, campaign: Campaign, mailing_id: int | None = None) -> Mailing:
    """Return the campaign's mailing, or the one of this id that sends letters of it again.

    Raises:
        WrongState: the campaign is still a draft.
        NotFound: the mailing is not the campaign's.

    """
    if campaign.mailing_id is None:
        raise WrongState(f"campaign {campaign.id} is a draft")
    mailing = first = delivery.find(session, mailing_id or campaign.mailing_id)
    while first.resends_id is not None:
        first = delivery.find(session, first.resends_id)
    if first.id != campaign.mailing_id:
        raise NotFound(f"mailing {mailing.id} of campaign {campaign.id}")
    return mailing


def approve(
    session: Session, campaign_id: int, approval: Approval, *, settings: Settings, at: datetime
) -> Hitch | None:
    """Freeze the letter and schedule its mailing; None where that was done.

    The campaign's row is locked, so of two approvals at once the second finds the first.
    """
    campaign = locked(session, campaign_id)
    if campaign.mailing_id is not None:
        return Hitch.ALREADY
    clinic = details(session)
    if missing(clinic):
        return Hitch.DETAILS_MISSING
    if campaign.revision != approval.revision:
        return Hitch.LETTER_CHANGED
    if errors(notices(campaign, clinic, settings)):
        return Hitch.LETTER_FAULTY
    reached = audience.count(session, at=at).reached
    if reached == 0:
        return Hitch.NOBODY
    if reached > approval.count:
        return Hitch.NUMBER_GREW
    _schedule(session, campaign, approval, settings=settings, at=at)
    note(
        session,
        "campaign.approved",
        at=at,
        actor_id=approval.staff_id,
        subject="campaign",
        subject_id=campaign.id,
        count=approval.count,
        reached=reached,
        mailing_id=campaign.mailing_id,
        revision=campaign.revision,
        per_minute=approval.per_minute,
    )
    session.flush()
    return None


def _schedule(
    session: Session, campaign: Campaign, approval: Approval, *, settings: Settings, at: datetime
) -> None:
    clinic = details(session)
    mailing = delivery.schedule(
        session,
        compiled(campaign, clinic, settings),
        envelope(campaign.id, clinic),
        purpose=Purpose.MARKETING,
        due_at=approval.due_at,
        at=at,
        per_minute=approval.per_minute,
    )
    campaign.mailing_id = mailing.id
    campaign.approved_by, campaign.approved_at = approval.staff_id, at
    campaign.approved_count = approval.count


def pause(
    session: Session, campaign: Campaign, mailing: Mailing, *, staff_id: int, at: datetime
) -> None:
    """Pause the mailing. Raises WrongState. After the commit comes ``gate.barrier``."""
    delivery.pause(session, mailing.id)
    _note(session, "campaign.paused", campaign, mailing, staff_id=staff_id, at=at)


def resume(
    session: Session, campaign: Campaign, mailing: Mailing, *, staff_id: int, at: datetime
) -> None:
    """Let the mailing run again. Raises WrongState."""
    delivery.resume(session, mailing.id)
    _note(session, "campaign.resumed", campaign, mailing, staff_id=staff_id, at=at)


def stop(
    session: Session, campaign: Campaign, mailing: Mailing, *, staff_id: int, at: datetime
) -> None:
    """Stop the mailing for good, and what sends its letters again. Raises WrongState.

    After the commit comes ``gate.barrier``.
    """
    for mailing_id in delivery.stop(session, mailing.id, at=at):
        stopped = delivery.find(session, mailing_id)
        _note(session, "campaign.stopped", campaign, stopped, staff_id=staff_id, at=at)


def set_speed(
    session: Session,
    campaign: Campaign,
    mailing: Mailing,
    *,
    per_minute: int | None,
    staff_id: int,
    at: datetime,
) -> None:
    """Let the mailing go at most so fast from now on. Raises WrongState where it has ended."""
    before = change_speed(session, mailing, per_minute)
    if before == per_minute:
        return
    note(
        session,
        "campaign.speed_set",
        at=at,
        actor_id=staff_id,
        subject="campaign",
        subject_id=campaign.id,
        mailing_id=mailing.id,
        per_minute=per_minute,
        before=before,
    )


def send_overdue(session: Session, campaign: Campaign, *, staff_id: int, at: datetime) -> None:
    """Let a mailing that missed its time go now. Raises WrongState."""
    moved = session.scalar(
        update(Mailing)
        .where(Mailing.id == campaign.mailing_id, Mailing.state == MailingState.OVERDUE)
        .values(state=MailingState.SCHEDULED, due_at=at)
        .returning(Mailing.id)
    )
    if moved is None:
        raise WrongState(f"campaign {campaign.id} is not overdue")
    mailing = mailing_of(session, campaign)
    _note(session, "campaign.sent_late", campaign, mailing, staff_id=staff_id, at=at)


def note_halt(
    session: Session,
    campaign: Campaign,
    mailing: Mailing,
    *,
    passed: bool,
    took_ms: int,
    staff_id: int,
    at: datetime,
) -> None:
    """Write down how a pause or stop ended: what the page then tells, for as long as it stands.

    Call after the barrier. ``passed`` is what ``gate.barrier`` returned.
    """
    tally = delivery.tally(session, mailing.id)
    note(
        session,
        "campaign.halted",
        at=at,
        actor_id=staff_id,
        subject="campaign",
        subject_id=campaign.id,
        mailing_id=mailing.id,
        stopped=mailing.state is MailingState.STOPPED,
        passed=passed,
        took_ms=took_ms,
        accepted=tally.accepted,
        wire=tally.sending,
        rest=tally.queued + tally.reasons.get(Reason.STOPPED, 0),
    )


def launch_next(session: Session, *, at: datetime) -> tuple[int, int] | None:
    """Launch the mailing that is due longest; return campaign and number of letters, or None.

    Two workers that call this at once launch two different mailings, or one.
    """
    due = session.execute(
        select(Mailing, Campaign.id)
        .join(Campaign, Campaign.mailing_id == Mailing.id)
        .where(Mailing.state == MailingState.SCHEDULED, Mailing.due_at <= at)
        .order_by(Mailing.due_at, Mailing.id)
        .limit(1)
        .with_for_update(of=Mailing, skip_locked=True)
    ).one_or_none()
    if due is None:
        return None
    mailing, campaign_id = due
    planned = delivery.enlist(session, mailing, audience.people(at=at), at=at)
    note(
        session,
        "campaign.launched",
        at=at,
        actor_id=None,
        subject="campaign",
        subject_id=campaign_id,
        mailing_id=mailing.id,
        planned=planned,
    )
    return campaign_id, planned


def _note(
    session: Session,
    act: str,
    campaign: Campaign,
    mailing: Mailing,
    *,
    staff_id: int,
    at: datetime,
) -> None:
    note(
        session,
        act,
        at=at,
        actor_id=staff_id,
        subject="campaign",
        subject_id=campaign.id,
        mailing_id=mailing.id,
    )
