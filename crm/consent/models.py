"""Consent texts, the ledger, its payloads, the standing derived from it, and the stop list."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.consent.rules import Act, Channel, Purpose, Reason
from crm.contacts.models import Kind
from crm.db import Base


class ConsentText(Base, kw_only=True):
    """One version of a policy or of a consent, in one language. Immutable; retired, never edited.

    A trigger refuses every change but setting ``retired_at`` once.
    """

    __tablename__ = "consent_texts"
    __table_args__ = (UniqueConstraint("key", "lang", "version"),)

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    key: Mapped[str] = mapped_column(String(32))
    """``processing``, ``marketing_email``, ``policy``: what a form's box is named after."""
    lang: Mapped[str] = mapped_column(String(2))
    version: Mapped[int]
    purpose: Mapped[Purpose | None] = mapped_column(default=None)
    """None for a policy: it informs, it asks for nothing."""
    channel: Mapped[Channel | None] = mapped_column(default=None)
    label: Mapped[str] = mapped_column(String(300), default="")
    """The sentence beside the box."""
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str]
    """Plain text; blank lines part paragraphs."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Hex digest of label, title and body: what evidence refers to."""
    valid_from: Mapped[datetime]
    retired_at: Mapped[datetime | None] = mapped_column(default=None)


class ConsentEvent(Base, kw_only=True):
    """One fact of the ledger. Added, never changed: the database refuses UPDATE and DELETE.

    Holds ids, a keyed token and a salted digest only. What the person gave, saw and came from
    lies in the payload beside it, which destruction may erase without breaking a seal.
    """

    __tablename__ = "consent_events"
    __table_args__ = (
        Index(None, "address_id", "purpose", "channel", "id"),
        Index(None, "contact_id", "id"),
        Index(None, "at", postgresql_using="brin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    at: Mapped[datetime]
    act: Mapped[Act]
    purpose: Mapped[Purpose]
    channel: Mapped[Channel]
    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.id"))
    token: Mapped[bytes]
    """HMAC of the address under the newest suppression key: finds the proof after destruction."""
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"), default=None)
    text_id: Mapped[int | None] = mapped_column(ForeignKey("consent_texts.id"), default=None)
    source: Mapped[str] = mapped_column(String(64))
    """``form:<key>``, ``link``, ``one_click``, ``mailto``, ``desk``, ``phone``, ``bounce``."""
    actor_id: Mapped[int | None] = mapped_column(default=None)
    delivery_id: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """The letter whose link was used."""
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    payload_digest: Mapped[bytes | None] = mapped_column(default=None)
    """SHA-256 over the payload's salt and its canonical form."""


class ConsentPayload(Base, kw_only=True):
    """The evidence of one event (152-FZ art. 9(3)): erased by destruction, digest and all."""

    __tablename__ = "consent_payloads"

    event_id: Mapped[int] = mapped_column(ForeignKey("consent_events.id"), primary_key=True)
    salt: Mapped[bytes]
    evidence: Mapped[dict[str, Any]]
    """Address as given, form and URL of origin, IP, user agent, which boxes were ticked."""


class AddressStanding(Base, kw_only=True):
    """Where an address stands for a purpose and channel: derived, rebuilt from the ledger."""

    __tablename__ = "standings"

    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.id"), primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(primary_key=True)
    channel: Mapped[Channel] = mapped_column(primary_key=True)
    asked_at: Mapped[datetime | None] = mapped_column(default=None)
    confirmed_at: Mapped[datetime | None] = mapped_column(default=None)
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    opted_out_at: Mapped[datetime | None] = mapped_column(default=None)
    stop_demanded_at: Mapped[datetime | None] = mapped_column(default=None)
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)
    purpose_ended_at: Mapped[datetime | None] = mapped_column(default=None)
    complained_at: Mapped[datetime | None] = mapped_column(default=None)
    bounced_at: Mapped[datetime | None] = mapped_column(default=None)
    grant_event_id: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """The confirmation that allows a letter."""
    stop_event_id: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """The newest stop: what a journal names when it says why."""


class Barrier(Base, kw_only=True):
    """A stop after which the gate was passed exclusively: its person could be told "done".

    ``turn`` is given while nobody else is in the gate. So turns are in the order of the gate, which
    no clock disturbs, and a letter's (``Outcome.turn``) tells before which stops it left.
    """

    __tablename__ = "barriers"

    turn: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("consent_events.id"), unique=True)


class Suppression(Base, kw_only=True):
    """An entry of the stop list: a keyed HMAC, so that it outlives the address it stops.

    Source: ``notes/law.md`` 2.4 in short: never a plain hash, never a name, old keys still look up.
    """

    __tablename__ = "suppressions"
    __table_args__ = (CheckConstraint("octet_length(token) = 32", name="token"),)

    token: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(primary_key=True)
    kind: Mapped[Kind]
    key_id: Mapped[str] = mapped_column(String(8))
    reason: Mapped[Reason]
    at: Mapped[datetime]
    event_id: Mapped[int] = mapped_column(BigInteger)
    lifted_at: Mapped[datetime | None] = mapped_column(default=None)
    lifted_by: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """The confirmation of the person's own that lifted it."""
