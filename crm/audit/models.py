"""The audit log, and the chain of blocks that seals it and the consent ledger."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, String
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Log(StrEnum):
    """The sealed logs. The values are written into triggers and blocks: they never change."""

    AUDIT = "audit"
    CONSENT = "consent"


class AuditEvent(Base, kw_only=True):
    """One thing somebody did. Holds ids and counts, never what a person is called or wrote."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "subject", "subject_id", "id"), Index(None, "actor_id", "id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    at: Mapped[datetime]
    act: Mapped[str] = mapped_column(String(64))
    """``<feature>.<verb>``, such as ``contact.viewed``."""
    actor_id: Mapped[int | None] = mapped_column(default=None)
    """The member of staff; None where the system or a recipient acted."""
    subject: Mapped[str | None] = mapped_column(String(32), default=None)
    """What kind of thing ``subject_id`` names: ``contact``, ``campaign``, ``mailing``, ..."""
    subject_id: Mapped[int | None] = mapped_column(BigInteger, default=None)
    detail: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)


class Unsealed(Base, kw_only=True):
    """Events waiting for the next block; a trigger on each log puts them here."""

    __tablename__ = "unsealed"

    log: Mapped[Log] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class SealBlock(Base, kw_only=True):
    """A block of one log's chain: its hash covers its events and the block before it."""

    __tablename__ = "seal_blocks"

    log: Mapped[Log] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, 3, ... without gaps within a log."""
    previous: Mapped[bytes]
    hash: Mapped[bytes]
    count: Mapped[int]
    events: Mapped[Any] = mapped_column(INT8MULTIRANGE)
    """The ids of its events. Not a plain range: ids are not in the order of commits."""
    sealed_at: Mapped[datetime]
