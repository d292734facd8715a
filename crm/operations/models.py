"""Which processes are alive, by what they write down themselves."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Worker(Base, kw_only=True):
    """A process of ours and when it last said that it lives."""

    __tablename__ = "workers"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """``bulk``, ``service``, ``house``: the queue it serves; or ``beat``."""
    host: Mapped[str] = mapped_column(String(253), primary_key=True)
    pid: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
