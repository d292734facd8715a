"""Forms on the clinic's site, and what came through them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm.appointments.models import RequestKind
from crm.db import Base


class Form(Base, kw_only=True):
    __tablename__ = "forms"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True)
    """In the URL, ``/f/<key>``; never changes."""
    kind: Mapped[RequestKind]
    title_ru: Mapped[str] = mapped_column(String(120))
    title_en: Mapped[str] = mapped_column(String(120))
    text_keys: Mapped[list[str]]
    """The consent texts it shows, a box each, in this order. ``processing`` must be among them."""
    origins: Mapped[list[str]]
    """``https://host[:port]`` of the pages that may post to it and embed it."""
    token_digest: Mapped[str | None] = mapped_column(String(64), default=None)
    """SHA-256 of the API token that a request without Origin needs; None: none is taken."""
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Submission(Base, kw_only=True):
    """One accepted POST. What was said lies with the request, the evidence with the ledger."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("form_id", "idempotency"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), init=False, primary_key=True)
    form_id: Mapped[int] = mapped_column(ForeignKey("forms.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    request_id: Mapped[int] = mapped_column(ForeignKey("requests.id"))
    received_at: Mapped[datetime]
    idempotency: Mapped[bytes | None] = mapped_column(default=None)
    """SHA-256 of the Idempotency-Key; the same key again is the same submission."""
    body_digest: Mapped[bytes | None] = mapped_column(default=None)
    """Keyed digest of what came with that key: another body under it is refused."""
