"""Transaction (b)'s look: what is known of each recipient at the moment before the dots.

It reads columns, never ORM objects: an identity map would answer with what it knew before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, select
from sqlalchemy.orm import Session

from crm.consent.models import AddressStanding, Suppression
from crm.consent.rules import Bars, Channel, Purpose, Reason, Standing, refusal
from crm.consent.tokens import suppression_tokens
from crm.contacts.models import Address
from crm.delivery.lease import Work
from crm.delivery.models import Delivery, Lease, Mailing
from crm.delivery.states import LeaseState, MailingState
from crm.delivery.window import Recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the look at one recipient found. ``refused`` is None where the dot may be written."""

    mailing: MailingState
    fenced: bool
    refused: Reason | None
    event_id: int | None
    """The ledger event that decided: the stop, or the confirmation that allows."""


def look(
    session: Session,
    work: Work,
    recipients: Sequence[Recipient],
    *,
    purpose: Purpose,
    channel: Channel,
    keys: tuple[str, ...],
    at: datetime,
) -> dict[int, Look]:
    """Return what is known at this moment of each recipient, by delivery.

    Call inside the gate: the statements here must begin after the lock is held.
    """
    listed = _listed(session, recipients, purpose, keys=keys)
    rows = session.execute(
        select(
            Delivery.id,
            Address.value,
            Address.blocked_at,
            Address.destroyed_at,
            Mailing.state.label("mailing_state"),
            Lease.state.label("lease_state"),
            AddressStanding.grant_event_id,
            AddressStanding.stop_event_id,
            *(getattr(AddressStanding, field.name) for field in fields(Standing)),
        )
        .join(Address, Address.id == Delivery.address_id)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .join(Lease, Lease.fence == work.fence)
        .outerjoin(
            AddressStanding,
            and_(
                AddressStanding.address_id == Delivery.address_id,
                AddressStanding.purpose == purpose,
                AddressStanding.channel == channel,
            ),
        )
        .where(Delivery.id.in_([recipient.delivery_id for recipient in recipients]))
    )
    return {row.id: _seen(row, purpose, suppressed=row.id in listed, at=at) for row in rows}


def _seen(row: Row[Any], purpose: Purpose, *, suppressed: bool, at: datetime) -> Look:
    standing = Standing(**{field.name: getattr(row, field.name) for field in fields(Standing)})
    bars = Bars(
        blocked=row.blocked_at is not None,
        destroyed=row.destroyed_at is not None or row.value is None,
        suppressed=suppressed,
    )
    refused = refusal(purpose, standing, bars, at=at)
    return Look(
        mailing=row.mailing_state,
        fenced=row.lease_state is not LeaseState.LIVE,
        refused=refused,
        event_id=row.stop_event_id if refused else row.grant_event_id,
    )


def _listed(
    session: Session, recipients: Sequence[Recipient], purpose: Purpose, *, keys: tuple[str, ...]
) -> set[int]:
    owner = {
        token: recipient.delivery_id
        for recipient in recipients
        if recipient.value is not None
        for token in suppression_tokens(recipient.kind, recipient.value, keys=keys)
    }
    found = session.scalars(
        select(Suppression.token).where(
            Suppression.token.in_(list(owner)),
            Suppression.purpose == purpose,
            Suppression.lifted_at.is_(None),
        )
    )
    return {owner[bytes(token)] for token in found}
