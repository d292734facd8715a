"""Whom a campaign reaches: everybody with a live marketing consent for e-mail; and whom not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from crm.consent.models import AddressStanding
from crm.consent.rules import Channel, Purpose, Reason
from crm.consent.service import reason_column
from crm.contacts.models import Address, Contact, ContactAddress, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """How many letters would leave now, and how many addresses would get none, by reason."""

    reached: int
    left_out: dict[Reason, int]

    @property
    def left_out_in_all(self) -> int:
        """Return how many get none, whatever the reason."""
        return sum(self.left_out.values())


def people(*, at: datetime) -> Select[Any]:
    """Return the SELECT of ``address_id, contact_id, provider``, an address once.

    Of several people behind one address the one known longest gives the letter its name.
    """
    chosen = (
        _addresses()
        .where(reason_column(Purpose.MARKETING, at=at).is_(None))
        .with_only_columns(
            Address.id.label("address_id"),
            func.min(Contact.id).label("contact_id"),
            Address.provider.label("provider"),
        )
        .group_by(Address.id)
    )
    return cast("Select[Any]", chosen)


def count(session: Session, *, at: datetime) -> Audience:
    """Count whom the letter would reach now and whom not. Dispatch looks at each again."""
    reason = reason_column(Purpose.MARKETING, at=at).label("reason")
    one_each = (
        _addresses()
        .with_only_columns(reason, func.count(Contact.id).label("people"))
        .group_by(Address.id, *_standing_columns())
        .subquery()
    )
    rows = session.execute(
        select(one_each.c.reason, func.count(), func.sum(one_each.c.people)).group_by(
            one_each.c.reason
        )
    ).all()
    left_out = {Reason(row[0]): row[1] for row in rows if row[0] is not None}
    reached = sum(row[1] for row in rows if row[0] is None)
    sharing = sum(int(row[2]) - row[1] for row in rows if row[0] is None)
    if sharing:
        left_out[Reason.DUPLICATE_ADDRESS] = sharing
    return Audience(reached=reached, left_out=left_out)


def _addresses() -> Select[Any]:
    return (
        select(Address.id)
        .join(ContactAddress, ContactAddress.address_id == Address.id)
        .join(Contact, Contact.id == ContactAddress.contact_id)
        .outerjoin(
            AddressStanding,
            and_(
                AddressStanding.address_id == Address.id,
                AddressStanding.purpose == Purpose.MARKETING,
                AddressStanding.channel == Channel.EMAIL,
            ),
        )
        .where(Address.kind == Kind.EMAIL, Contact.destroyed_at.is_(None))
    )


def _standing_columns() -> list[Any]:
    row = AddressStanding
    return [row.address_id, row.purpose, row.channel]
