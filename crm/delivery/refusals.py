"""What refusals leave behind: counts for a provider's warm-up, and a stop for an address."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.consent.ledger import Matter, Origin, record
from crm.consent.rules import Act, Channel, Purpose
from crm.contacts.models import Address
from crm.delivery.models import Delivery
from crm.delivery.pacing_models import RefusalCount
from crm.mail.refusal import Refusal


def count(
    session: Session,
    mailing_id: int,
    refused: Mapping[tuple[str, Refusal], int],
    *,
    at: datetime,
) -> None:
    """Add a window's refusals, by provider and kind. Costs nothing where there were none."""
    rows = [
        {
            "mailing_id": mailing_id,
            "provider": provider,
            "on": at.date(),
            "refusal": refusal,
            "letters": letters,
        }
        for (provider, refusal), letters in sorted(refused.items())
    ]
    if not rows:
        return
    added = insert(RefusalCount).values(rows)
    session.execute(
        added.on_conflict_do_update(
            index_elements=["mailing_id", "provider", "on", "refusal"],
            set_={"letters": RefusalCount.letters + added.excluded.letters},
        )
    )


def counted(session: Session, mailing_id: int) -> dict[tuple[str, Refusal], int]:
    """Return how many tries of a mailing were refused, by provider and kind, retries included."""
    rows = session.execute(
        select(RefusalCount.provider, RefusalCount.refusal, func.sum(RefusalCount.letters))
        .where(RefusalCount.mailing_id == mailing_id)
        .group_by(RefusalCount.provider, RefusalCount.refusal)
    )
    return {(provider, refusal): int(letters) for provider, refusal, letters in rows}


def bounced(
    session: Session, delivery_id: int, *, reply: str, keys: tuple[str, ...], at: datetime
) -> None:
    """Write down that a letter's address does not exist: nothing goes there any more.

    Reminders neither, until somebody confirms the address anew. In the transaction that settles
    the letter. Recording it twice is harmless; an address destroyed meanwhile is let alone.

    Args:
        session: flushed, not committed.
        delivery_id: the letter that was refused.
        reply: the server's words, addresses masked; kept as evidence.
        keys: the suppression keys, newest first.
        at: now.

    """
    letter = session.execute(
        select(Delivery.address_id, Delivery.contact_id)
        .join(Address, Address.id == Delivery.address_id)
        .where(Delivery.id == delivery_id, Address.destroyed_at.is_(None))
    ).one_or_none()
    if letter is None:
        return
    origin = Origin(
        source="bounce",
        contact_id=letter.contact_id,
        delivery_id=delivery_id,
        evidence={"reply": reply},
    )
    for purpose in Purpose:
        matter = Matter(address_id=letter.address_id, purpose=purpose, channel=Channel.EMAIL)
        record(session, Act.BOUNCED, matter, origin, keys=keys, at=at)
