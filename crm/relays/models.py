"""What the clinic has declared of its relays, for ever; and which of them do not answer now."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base
from crm.relays.rules import Bond


class RelayDeclaration(Base, kw_only=True):
    """Whose a relay is: the newest counts. The database refuses to change or delete one."""

    __tablename__ = "relay_declarations"
    __table_args__ = (
        CheckConstraint("country ~ '^[A-Z]{2}$'", name="country"),
        CheckConstraint(
            "bond <> 'processor' OR (contract <> '' AND contract_on IS NOT NULL)", name="contract"
        ),
        Index(None, "relay", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), init=False, primary_key=True)
    relay: Mapped[str] = mapped_column(String(262))
    """``host:port``, as ``rules.name_of`` writes it."""
    owner: Mapped[str] = mapped_column(String(200))
    """The legal name."""
    country: Mapped[str] = mapped_column(String(2))
    """Where the server stands, ISO 3166 alpha-2."""
    bond: Mapped[Bond]
    contract: Mapped[str] = mapped_column(String(200), default="")
    """What it is called: enough to find it."""
    contract_on: Mapped[date | None] = mapped_column(default=None)
    note: Mapped[str] = mapped_column(String(500), default="")
    declared_at: Mapped[datetime]
    declared_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))


class RelayAbsence(Base, kw_only=True):
    """A relay that does not answer, as senders found."""

    __tablename__ = "relay_absences"

    relay: Mapped[str] = mapped_column(String(262), primary_key=True)
    """``host:port``, as ``rules.name_of`` writes it."""
    since: Mapped[datetime]
    tried_at: Mapped[datetime]
    """When a sender last found it away."""
    because: Mapped[str] = mapped_column(String(200))
    """The wire's sentence, or that and the relay's own words behind a colon."""
