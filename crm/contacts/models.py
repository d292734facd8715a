"""People, and the addresses they can be reached at.

An address is a thing of its own because a family may share one: who says stop there stops it
for everybody behind it, and a mailing reaches an address once.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Computed,
    ForeignKey,
    Identity,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Category(StrEnum):
    """Who the person is to the clinic (policy clause 2.2; SUB-01)."""

    SITE_USER = "site_user"
    PATIENT = "patient"
    REPRESENTATIVE = "representative"


class Kind(StrEnum):
    EMAIL = "email"
    PHONE = "phone"


class Contact(Base, kw_only=True):
    __tablename__ = "contacts"
    __table_args__ = (
        Index("ix_contacts_sort_name", "sort_name", "id"),
        Index(
            "ix_contacts_search",
            "sort_name",
            postgresql_using="gin",
            postgresql_ops={"sort_name": "gin_trgm_ops"},
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    last_name: Mapped[str] = mapped_column(String(80), default="")
    first_name: Mapped[str] = mapped_column(String(80), default="")
    patronymic: Mapped[str] = mapped_column(String(80), default="")
    category: Mapped[Category]
    source: Mapped[str] = mapped_column(String(64))
    """Where the record came from: ``form:<key>``, ``desk``, ``phone``, ``paper``."""
    note: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(default=None)
    """The member of staff who added it by hand."""
    destroyed_at: Mapped[datetime | None] = mapped_column(default=None)
    revision: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """Counted up by each change by hand: one made from an older page is refused, not merged."""
    sort_name: Mapped[str] = mapped_column(
        String(250),
        Computed(
            "translate(lower(last_name || ' ' || first_name || ' ' || patronymic), 'ё', 'е')",
            persisted=True,
        ),
        init=False,
    )
    """For sorting and searching: code points put «ё» after «я», a reader puts it beside «е»."""

    @property
    def full_name(self) -> str:
        """Return the name in the Russian order: last, first, patronymic."""
        return " ".join(part for part in (self.last_name, self.first_name, self.patronymic) if part)


class Address(Base, kw_only=True):
    __tablename__ = "addresses"
    __table_args__ = (
        UniqueConstraint("kind", "value"),
        Index(
            "ix_addresses_search",
            "value",
            postgresql_using="gin",
            postgresql_ops={"value": "gin_trgm_ops"},
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    kind: Mapped[Kind]
    value: Mapped[str | None] = mapped_column(String(254))
    """Normalised (lower-cased ASCII e-mail, E.164 phone); None once destroyed. It never changes:
    a corrected address is another address, because consent does not move."""
    display: Mapped[str | None] = mapped_column(String(254))
    provider: Mapped[str] = mapped_column(String(16), default="other")
    """Group of mailbox hosts that limit us together, by ``mail.addresses.provider_of``."""
    created_at: Mapped[datetime]
    blocked_at: Mapped[datetime | None] = mapped_column(default=None)
    destroyed_at: Mapped[datetime | None] = mapped_column(default=None)


class ContactAddress(Base, kw_only=True):
    """That this person can be reached there."""

    __tablename__ = "contact_addresses"
    __table_args__ = (Index(None, "address_id"),)

    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), primary_key=True)
    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.id"), primary_key=True)
    added_at: Mapped[datetime]
