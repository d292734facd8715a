"""The installation's one row, the stops that the journal lacks, and the letters it remembers."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Installation(Base, kw_only=True):
    """Who this database belongs to. ``installation.json`` says the same, or nothing is sent."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(default=1, primary_key=True, autoincrement=False)
    key: Mapped[uuid.UUID]
    epoch: Mapped[int] = mapped_column(default=1)
    """Raised by each release: of two copies the one with the lower epoch stays silent."""
    agreed_at: Mapped[datetime]
    released_at: Mapped[datetime | None] = mapped_column(default=None)
    released_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), default=None)
    released_because: Mapped[str | None] = mapped_column(String(300), default=None)


class Unjournalled(Base, kw_only=True):
    """A stop of the ledger that is not in the journal yet; a trigger on the ledger puts it here."""

    __tablename__ = "unjournalled"

    event_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class Handed(Base, kw_only=True):
    """A letter that the journal saw leaving, of a mailing that the restored database knew less of.

    Keyed by mailing and token: numbers of deliveries are given out anew after a restore.
    """

    __tablename__ = "handed"

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    token: Mapped[bytes] = mapped_column(primary_key=True)
    """The first ``lines.TOKEN`` bytes of the suppression token."""
