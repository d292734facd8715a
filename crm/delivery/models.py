"""Mailings, their recipients, and what becomes of each.

A delivery's row is written once, at launch. What happens to it is added beside it:

    outcome                            accepted, withheld, failed or uncertain: the end
    retry                              queued again, with the time of the next try
    in a window, neither of these      sending: it may be on the wire
    none of these                      queued

so that ``planned = queued + sending + accepted + withheld + failed + uncertain`` is counted from
rows and holds at every commit, and nothing is ever searched for. Beside the rows stand sums (of a
range what is left, of a lease what it ended), so that following a million letters costs what
following ten does; ``books`` holds rows and sums against each other.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.consent.rules import Channel, Purpose, Reason
from crm.db import Base
from crm.delivery.states import DeliveryState, Lane, LeaseState, MailingState, Mishap

HELD_LIMIT = 400


class Mailing(Base, kw_only=True):
    """A letter frozen at launch, and how it is to go. Campaigns and appointments stand above."""

    __tablename__ = "mailings"
    __table_args__ = (
        Index("ix_mailings_open", "state", "due_at", postgresql_where=text("state <> 'finished'")),
        Index(None, "resends_id", postgresql_where=text("resends_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    purpose: Mapped[Purpose]
    channel: Mapped[Channel] = mapped_column(default=Channel.EMAIL)
    lane: Mapped[Lane]
    state: Mapped[MailingState]
    letter: Mapped[dict[str, Any]]
    """``letters.compile.CompiledLetter`` as JSON: constant pieces and slots."""
    envelope: Mapped[dict[str, Any]]
    """``mail.message.Envelope`` as JSON: who it is from, frozen with the letter."""
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    planned: Mapped[int | None] = mapped_column(default=None)
    """How many deliveries were written at launch; None before it."""
    launched_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    held_because: Mapped[str | None] = mapped_column(String(HELD_LIMIT), default=None)
    """A sentence of ours, untranslated, or the relay's own words. Stays where it closed
    while it was held."""
    key: Mapped[UUID] = mapped_column(init=False, server_default=func.gen_random_uuid())
    """Known outside the database too, where numbers are given out anew after a restore."""
    per_minute: Mapped[int | None] = mapped_column(default=None)
    """Its own speed, see ``delivery.speed``; None where only those of relay and providers hold."""
    uncapped: Mapped[bool] = mapped_column(default=False)
    """Goes to people who had a promotional letter today: letters sent again do. No form sets it."""
    probe_until: Mapped[datetime | None] = mapped_column(default=None)
    """Behind a relay that answers 250 to all: until when bounces of its first letters are waited
    for (``probe``); None before that."""
    is_probed: Mapped[bool] = mapped_column(default=False)
    """They were waited for, and judged."""
    resends_id: Mapped[int | None] = mapped_column(ForeignKey("mailings.id"), default=None)
    """The mailing whose uncertain letters a named person sends again by this one."""
    certificate: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """What became of it, written once when it closed."""


class Delivery(Base, kw_only=True):
    """One letter to one address. A mailing reaches an address once."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("mailing_id", "address_id"), Index(None, "address_id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    """Whose name the letter bears; None where a test letter goes to staff."""
    provider: Mapped[str] = mapped_column(String(16))


class Lease(Base, kw_only=True):
    """A sender's right to a piece of work. Its fence is the number every write is checked by."""

    __tablename__ = "leases"
    __table_args__ = (Index(None, "state", postgresql_where=text("state = 'live'")),)

    fence: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    lane: Mapped[Lane]
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"), index=True)
    provider: Mapped[str] = mapped_column(String(16))
    state: Mapped[LeaseState] = mapped_column(default=LeaseState.LIVE)
    beats: Mapped[int] = mapped_column(BigInteger, default=0)
    """Counted up by its holder; dead when it has not moved for 30 s of a watcher's own clock."""
    windows: Mapped[int] = mapped_column(BigInteger, default=0)
    """How many times its holder has written down results and intents: tells it whether a commit
    whose answer was lost has happened."""
    taken_at: Mapped[datetime]
    accepted: Mapped[int] = mapped_column(default=0)
    withheld: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    uncertain: Mapped[int] = mapped_column(default=0)
    """How many letters ended so under this lease."""
    bounced: Mapped[int] = mapped_column(default=0)
    """How many of the failed have no mailbox at their address."""


class Range(Base, kw_only=True):
    """Deliveries ``low`` to ``high`` of one mailing and one provider, leased as a whole."""

    __tablename__ = "ranges"
    __table_args__ = (
        Index(
            "ix_ranges_free",
            "mailing_id",
            "provider",
            "low",
            postgresql_where=text("fence IS NULL AND NOT done"),
        ),
        Index("ix_ranges_open", "mailing_id", postgresql_where=text("NOT done")),
        Index(None, "fence", postgresql_where=text("fence IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"))
    lane: Mapped[Lane]
    provider: Mapped[str] = mapped_column(String(16))
    low: Mapped[int] = mapped_column(BigInteger)
    high: Mapped[int] = mapped_column(BigInteger)
    next_id: Mapped[int] = mapped_column(BigInteger)
    """The first delivery that was in no window yet."""
    waiting: Mapped[int]
    """How many were in none yet."""
    fence: Mapped[int | None] = mapped_column(ForeignKey("leases.fence"), default=None)
    done: Mapped[bool] = mapped_column(default=False)
    """Every delivery of it has been in a window, or was cancelled."""


class Window(Base, kw_only=True):
    """The intent: a sender is about to write these letters. No body leaves without one.

    A row for each handful of letters, not for each letter; it is gone once all of them have an
    outcome or a retry.
    """

    __tablename__ = "windows"
    __table_args__ = (Index(None, "fence"), Index(None, "mailing_id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    fence: Mapped[int] = mapped_column(ForeignKey("leases.fence"))
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"))
    delivery_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    tries: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """Of each delivery, in the same order: 1 for the first try."""
    at: Mapped[datetime]


class Outcome(Base, kw_only=True):
    """How a delivery ended. There is one at most, and it is never changed.

    No foreign keys: this is the one table that grows by a row with each letter at full speed, and
    each key would lock a row of another table. ``books`` looks for strays instead.
    """

    __tablename__ = "outcomes"
    __table_args__ = (
        Index(
            "ix_outcomes_not_accepted",
            "mailing_id",
            "state",
            "delivery_id",
            postgresql_where=text("state <> 'accepted'"),
        ),
        Index(None, "at"),
    )

    delivery_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    mailing_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[DeliveryState]
    at: Mapped[datetime]
    reason: Mapped[Reason | None] = mapped_column(default=None)
    """Why it was withheld."""
    event_id: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """The ledger event that decided: the stop that forbade, the confirmation that allowed."""
    turn: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """The newest ``Barrier`` when the dots of its gate were written: of an older stop, the letter
    left afterwards. None where no dot was written, or the gate was lost meanwhile."""
    code: Mapped[int | None] = mapped_column(default=None)
    enhanced: Mapped[str | None] = mapped_column(String(12), default=None)
    """The code of RFC 3463."""
    refusal: Mapped[str | None] = mapped_column(String(24), default=None)
    """``mail.refusal.Refusal``: what a refusal was about."""
    reply: Mapped[str | None] = mapped_column(String(200), default=None)
    """The relay's answer, addresses masked."""


class Retry(Base, kw_only=True):
    """A delivery that waits for another try."""

    __tablename__ = "retries"
    __table_args__ = (
        Index(
            "ix_retries_due",
            "mailing_id",
            "provider",
            "due_at",
            "delivery_id",
            postgresql_where=text("fence IS NULL"),
        ),
        Index(None, "mailing_id"),
        Index(None, "fence", postgresql_where=text("fence IS NOT NULL")),
    )

    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id"), primary_key=True)
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"))
    lane: Mapped[Lane]
    provider: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime]
    tries: Mapped[int]
    """How many were made."""
    reply: Mapped[str | None] = mapped_column(String(200), default=None)
    fence: Mapped[int | None] = mapped_column(ForeignKey("leases.fence"), default=None)


class MishapCount(Base, kw_only=True):
    """How often one kind of mishap befell senders on one day (UTC): written for people to read."""

    __tablename__ = "mishap_counts"

    kind: Mapped[Mishap] = mapped_column(primary_key=True)
    on: Mapped[date] = mapped_column(primary_key=True)
    times: Mapped[int]
    """Of a sender's death: how many leases it left."""
    last_at: Mapped[datetime]
    longest_s: Mapped[float] = mapped_column(default=0.0)
    """For which the database was away, or by which a clock jumped, at most."""
    uncertain: Mapped[int] = mapped_column(default=0)
    queued_again: Mapped[int] = mapped_column(default=0)
    """What became of the letters in a dead sender's hands."""
