"""Reading the audit log: newest first, by person, act or what it is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for; empty is everything."""

    actor_id: int | None = None
    act: str = ""
    """``contact.viewed``, or all of a feature: ``contact.``."""
    subject: str = ""
    subject_id: int | None = None


def lines(
    session: Session,
    wanted: Wanted,
    *,
    after_id: int | None,
    before_id: int | None,
    limit: int,
) -> Sequence[AuditEvent]:
    """Return up to ``limit`` lines, newest first: below ``after_id`` or above ``before_id``."""
    query = select(AuditEvent).where(*_conditions(wanted)).limit(limit)
    if before_id is not None:
        upwards = query.where(AuditEvent.id > before_id).order_by(AuditEvent.id)
        return list(reversed(session.scalars(upwards).all()))
    if after_id is not None:
        query = query.where(AuditEvent.id < after_id)
    return session.scalars(query.order_by(AuditEvent.id.desc())).all()


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.actor_id is not None:
        found.append(AuditEvent.actor_id == wanted.actor_id)
    if wanted.act.endswith("."):
        found.append(AuditEvent.act.startswith(wanted.act, autoescape=True))
    elif wanted.act:
        found.append(AuditEvent.act == wanted.act)
    if wanted.subject:
        found.append(AuditEvent.subject == wanted.subject)
    if wanted.subject_id is not None:
        found.append(AuditEvent.subject_id == wanted.subject_id)
    return found
