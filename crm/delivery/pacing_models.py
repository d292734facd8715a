"""Paces, rests, providers' manners, and what counts against them."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base
from crm.mail.refusal import Refusal


class Pace(Base, kw_only=True):
    """A bucket of letters that may leave now, or a destination at rest.

    The truth is here: a flushed broker refills nothing. What has no limit and no rest has no row,
    so that senders have nothing to wait for each other at. The name is ``relay``,
    ``provider:gmail``, ``domain:firm.example`` (rests only) or ``mailing:12``.
    """

    __tablename__ = "paces"
    __table_args__ = (
        Index("ix_paces_rests", "name", postgresql_where=text("rest_step > 0")),
        CheckConstraint("rest_step BETWEEN 0 AND 3", name="rest_step"),
    )

    name: Mapped[str] = mapped_column(String(270), primary_key=True)
    tokens: Mapped[float]
    """Letters; negative while service letters have gone on credit."""
    filled_at: Mapped[datetime]
    per_minute: Mapped[float | None] = mapped_column(default=None)
    """As it was when letters were last taken; None for what only rests."""
    rest_step: Mapped[int] = mapped_column(default=0)
    """How many rests followed each other without a letter accepted between them."""
    rested_at: Mapped[datetime | None] = mapped_column(default=None)
    rest_until: Mapped[datetime | None] = mapped_column(default=None)
    because: Mapped[str | None] = mapped_column(String(200), default=None)
    """The reply that began the rest, addresses masked."""


class ProviderManners(Base, kw_only=True):
    """How letters go to one group of domains: a big provider's, or all ``other`` ones together."""

    __tablename__ = "provider_manners"
    __table_args__ = (
        CheckConstraint("per_hour > 0", name="per_hour"),
        CheckConstraint("target_per_hour >= 0", name="target"),
        CheckConstraint("connections BETWEEN 0 AND 100", name="connections"),
    )

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    per_hour: Mapped[int]
    """What the warm-up has come to; of no effect once ``warm_up`` is off."""
    target_per_hour: Mapped[int]
    """0: no limit."""
    connections: Mapped[int]
    """The most that are open to it at once; 0: as many as the relay takes."""
    warm_up: Mapped[bool]
    warmed_on: Mapped[date | None] = mapped_column(default=None)
    """The day up to which outcomes have been judged."""


class RefusalCount(Base, kw_only=True):
    """How many letters of a mailing a provider refused in one way on one day (UTC)."""

    __tablename__ = "refusal_counts"
    __table_args__ = (Index(None, "on"),)

    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"), primary_key=True)
    provider: Mapped[str] = mapped_column(String(16), primary_key=True)
    on: Mapped[date] = mapped_column(primary_key=True)
    refusal: Mapped[Refusal] = mapped_column(primary_key=True)
    letters: Mapped[int]
    reply: Mapped[str | None] = mapped_column(String(200), default=None)
    """The last one, addresses masked."""


class PromotionalDay(Base, kw_only=True):
    """The one promotional letter that may go to an address, and to a contact, on a day.

    One row holds both keys, so that a letter has its day with both of them or with neither.
    """

    __tablename__ = "promotional_days"
    __table_args__ = (UniqueConstraint("contact_id", "on"),)

    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.id"), primary_key=True)
    on: Mapped[date] = mapped_column(primary_key=True)
    """In the clinic's zone."""
    contact_id: Mapped[int | None] = mapped_column(default=None)
    """Whose name the letter bears; None where it bears none, or where the contact has this day by
    another address. No foreign key: it would lock the contact's row with each letter."""
    delivery_id: Mapped[int] = mapped_column(BigInteger)
    """Whose day it is: another try of the same letter is not held up by the first."""
