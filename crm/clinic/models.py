"""The clinic: one row."""

from datetime import time

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from crm.db import Base


class Clinic(Base, kw_only=True):
    """What letters, forms and documents say of the operator, and how it wishes to send."""

    __tablename__ = "clinic"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("letters_per_minute BETWEEN 0 AND 1000000", name="pace"),
        CheckConstraint("cap_per_month BETWEEN 0 AND 31", name="cap"),
        CheckConstraint("consent_months BETWEEN 1 AND 120", name="term"),
    )

    id: Mapped[int] = mapped_column(default=1, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(120), default="")
    """As people know it: on pages, in From and in footers."""
    legal_name: Mapped[str] = mapped_column(String(200), default="")
    inn: Mapped[str] = mapped_column(String(12), default="")
    ogrn: Mapped[str] = mapped_column(String(15), default="")
    postal_address: Mapped[str] = mapped_column(String(300), default="")
    phone: Mapped[str] = mapped_column(String(32), default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    """The mailbox the policy names; people write here to refuse and to withdraw."""
    site_url: Mapped[str] = mapped_column(String(200), default="")
    dpo_name: Mapped[str] = mapped_column(String(120), default="")
    news_email: Mapped[str] = mapped_column(String(254), default="")
    """From of promotional letters; not the service one, so that a filter can tell them apart."""
    service_email: Mapped[str] = mapped_column(String(254), default="")
    bounce_domain: Mapped[str] = mapped_column(String(190), default="")
    """Of return paths, ``b+TOKEN@`` it; where it is empty, bounces go to the address in From."""
    zone: Mapped[str] = mapped_column(String(64), default="Europe/Moscow")
    quiet_from: Mapped[time] = mapped_column(default=time(21))
    """No promotional letter leaves between these hours; none are quiet where they are equal."""
    quiet_until: Mapped[time] = mapped_column(default=time(9))
    letters_per_minute: Mapped[int] = mapped_column(default=1200)
    """The most letters the relay is given a minute; 0: no limit."""
    smart_host: Mapped[bool | None] = mapped_column(default=None)
    """Whether the relay takes every letter at first, and tells by bounce letters whom it could not
    reach. None: so it is, unless it stands on this machine."""
    one_a_day: Mapped[bool] = mapped_column(default=True)
    """An address gets one promotional letter a day at most."""
    cap_per_month: Mapped[int] = mapped_column(default=8)
    """On so many of any 30 days an address gets a promotional letter at most; 0: no such cap."""
    consent_months: Mapped[int] = mapped_column(default=36)
    """The term of a marketing consent (152-FZ art. 5(7): not longer than the purpose needs)."""
