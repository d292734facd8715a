"""Campaigns: the staff's document above a mailing."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Campaign(Base, kw_only=True):
    __tablename__ = "campaigns"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    """For the clinic only; recipients do not see it."""
    subject: Mapped[str] = mapped_column(String(200), default="")
    document: Mapped[dict[str, Any]]
    """``letters.blocks.Document`` as JSON."""
    created_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=1)
    """Counted up by each save: a save from an older page is refused, not merged."""
    mailing_id: Mapped[int | None] = mapped_column(
        ForeignKey("mailings.id"), unique=True, default=None
    )
    """None while it is a draft."""
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), default=None)
    approved_at: Mapped[datetime | None] = mapped_column(default=None)
    approved_count: Mapped[int | None] = mapped_column(default=None)
    """The number that stood in the button."""
