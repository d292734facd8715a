"""Members of staff and their roles."""

from datetime import datetime
from enum import StrEnum

from flask_security.core import RoleMixin, UserMixin
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm.db import Base


class RoleName(StrEnum):
    """What a member of staff may be. Routes name the roles they let in."""

    ADMIN = "admin"
    MARKETER = "marketer"
    RECEPTIONIST = "receptionist"
    DPO = "dpo"
    """The person in charge of personal data (152-FZ art. 22.1)."""


class Role(Base, RoleMixin, kw_only=True):
    __tablename__ = "roles"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    name: Mapped[RoleName] = mapped_column(unique=True)


class StaffRole(Base, kw_only=True):
    __tablename__ = "staff_roles"

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"), primary_key=True)


class Staff(Base, UserMixin, kw_only=True):
    __tablename__ = "staff"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password: Mapped[str | None] = mapped_column(String(255), default=None)
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    """What a session cookie carries instead of the id; a new one signs out everywhere."""
    lang: Mapped[str] = mapped_column(String(2), default="ru")
    theme: Mapped[str] = mapped_column(String(5), default="light")
    created_at: Mapped[datetime]

    roles: Mapped[list[Role]] = relationship(  # type: ignore[assignment]
        secondary="staff_roles", lazy="selectin", default_factory=list
    )
