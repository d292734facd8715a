"""What staff do to a campaign."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.campaigns import audience
from crm.campaigns.models import Campaign
from crm.delivery import service as delivery
from crm.delivery.models import Mailing
from crm.delivery.states import MailingState
from crm.errors import NotFound


def find(session: Session, campaign_id: int) -> Campaign:
    """Return the campaign. Raises NotFound."""
    campaign = session.get(Campaign, campaign_id)
    if campaign is None:
        raise NotFound(f"campaign {campaign_id}")
    return campaign


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
    return campaign_id, delivery.enlist(session, mailing, audience.people(at=at), at=at)
