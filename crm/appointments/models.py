"""Requests waiting for reception, and appointments.

The clinic's own medical system stays the record; what is here names no doctor and no service.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.appointments.rules import AppointmentState as AppointmentState
from crm.db import Base


class RequestKind(StrEnum):
    QUESTION = "question"
    ORDER = "order"
    APPOINTMENT = "appointment"


class RequestState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    """One receptionist has it: two never call the same person."""
    DONE = "done"


class Request(Base, kw_only=True):
    """What somebody asked for through a form, by phone or at the desk."""

    __tablename__ = "requests"
    __table_args__ = (
        Index("ix_requests_open", "received_at", "id", postgresql_where=text("state <> 'done'")),
        Index(None, "contact_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    kind: Mapped[RequestKind]
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    email_id: Mapped[int | None] = mapped_column(ForeignKey("addresses.id"), default=None)
    phone_id: Mapped[int | None] = mapped_column(ForeignKey("addresses.id"), default=None)
    message: Mapped[str] = mapped_column(String(2000), default="")
    source: Mapped[str] = mapped_column(String(64))
    lang: Mapped[str] = mapped_column(String(2), default="ru")
    received_at: Mapped[datetime]
    state: Mapped[RequestState] = mapped_column(default=RequestState.WAITING)
    claimed_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), default=None)
    claimed_at: Mapped[datetime | None] = mapped_column(default=None)
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
    outcome: Mapped[str | None] = mapped_column(String(32), default=None)
    """``answered``, ``appointed``, ``not_reached``, ``spam``."""


class Appointment(Base, kw_only=True):
    """A visit: when and where, and nothing about why."""

    __tablename__ = "appointments"
    __table_args__ = (Index(None, "starts_at"), Index(None, "contact_id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    request_id: Mapped[int | None] = mapped_column(
        ForeignKey("requests.id"), unique=True, default=None
    )
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    email_id: Mapped[int | None] = mapped_column(ForeignKey("addresses.id"), default=None)
    state: Mapped[AppointmentState]
    starts_at: Mapped[datetime | None] = mapped_column(default=None)
    place: Mapped[str] = mapped_column(String(300), default="")
    wish: Mapped[str] = mapped_column(String(300), default="", server_default="")
    """What the patient wrote when asking for another time; emptied by the next proposal."""
    lang: Mapped[str] = mapped_column(String(2), default="ru")
    revision: Mapped[int] = mapped_column(default=0)
    """Counts proposals; a link to an older one shows that the time has changed."""
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), default=None)
    proposed_at: Mapped[datetime | None] = mapped_column(default=None)
    answered_at: Mapped[datetime | None] = mapped_column(default=None)
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("deliveries.id"), default=None)
    """The last letter about it."""
