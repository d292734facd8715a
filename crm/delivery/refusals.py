"""What refusals leave behind: counts for a provider's warm-up, and a stop for an address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.consent.ledger import Matter, Origin, record
from crm.consent.rules import Act, Channel, Purpose
from crm.contacts.models import Address
from crm.delivery.manners import ABOUT_US
from crm.delivery.models import Delivery
from crm.delivery.pacing_models import RefusalCount
from crm.mail.refusal import Refusal


def count(
    session: Session,
    mailing_id: int,
    provider: str,
    refused: Mapping[Refusal, int],
    *,
    replies: Mapping[Refusal, str],
    at: datetime,
) -> None:
    """Add refusals of letters to one provider, by kind. Costs nothing where there were none.

    Args:
        session: flushed, not committed.
        mailing_id: the letters' mailing.
        provider: where they went.
        refused: how many of each kind.
        replies: the last words of each kind, addresses masked.
        at: now.

    """
    rows = [
        {
            "mailing_id": mailing_id,
            "provider": provider,
            "on": at.date(),
            "refusal": refusal,
            "letters": letters,
            "reply": replies.get(refusal, "")[:200] or None,
        }
        for refusal, letters in sorted(refused.items())
    ]
    if not rows:
        return
    added = insert(RefusalCount).values(rows)
    session.execute(
        added.on_conflict_do_update(
            index_elements=["mailing_id", "provider", "on", "refusal"],
            set_={
                "letters": RefusalCount.letters + added.excluded.letters,
                "reply": added.excluded.reply,
            },
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutUs:
    """Letters of one mailing that one provider refused because of us, in one way."""

    provider: str
    refusal: Refusal
    letters: int
    """Tries, of which a letter may have several."""
    reply: str | None
    """The last one."""


def about_us(session: Session, mailing_id: int) -> list[AboutUs]:
    """Return what staff are to be told of a mailing: refusals that tell nothing of a person.

    A row for each provider, kind and day is read, however many letters were refused.
    """
    rows = session.scalars(
        select(RefusalCount)
        .where(RefusalCount.mailing_id == mailing_id, RefusalCount.refusal.in_(ABOUT_US))
        .order_by(RefusalCount.provider, RefusalCount.refusal, RefusalCount.on)
    )
    return [
        _together(list(days)) for _, days in groupby(rows, key=attrgetter("provider", "refusal"))
    ]


def about_us_since(session: Session, on: date) -> int:
    """Return how many tries were refused because of us since a day (UTC), of all mailings."""
    letters = select(func.sum(RefusalCount.letters))
    since = letters.where(RefusalCount.on >= on, RefusalCount.refusal.in_(ABOUT_US))
    return session.scalar(since) or 0


def _together(days: list[RefusalCount]) -> AboutUs:
    last = days[-1]
    return AboutUs(
        provider=last.provider,
        refusal=last.refusal,
        letters=sum(day.letters for day in days),
        reply=last.reply,
    )


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
