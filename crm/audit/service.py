"""Writing the audit log."""

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.straight import Statement


def note(
    session: Session,
    act: str,
    *,
    at: datetime,
    actor_id: int | None,
    subject: str | None = None,
    subject_id: int | None = None,
    **detail: int | str | bool | None,
) -> None:
    """Write down that ``actor_id`` did ``act``. Belongs into the transaction of the act itself.

    ``detail`` takes ids, counts and our own words; never what a person is called or wrote.
    """
    session.add(
        AuditEvent(
            at=at,
            act=act,
            actor_id=actor_id,
            subject=subject,
            subject_id=subject_id,
            detail=_known(detail),
        )
    )


def noting(
    act: str,
    *,
    at: datetime,
    actor_id: int | None,
    subject: str | None = None,
    subject_id: int | None = None,
    **detail: int | str | bool | None,
) -> Statement:
    """Return what writes the same down as ``note``, in a breath with the act itself."""
    return _NOTE, {
        "at": at,
        "act": act,
        "actor_id": actor_id,
        "subject": subject,
        "subject_id": subject_id,
        "detail": json.dumps(_known(detail)),
    }


def _known(detail: Mapping[str, int | str | bool | None]) -> dict[str, int | str | bool]:
    return {name: value for name, value in detail.items() if value is not None}


_NOTE = """
    INSERT INTO audit_events (at, act, actor_id, subject, subject_id, detail)
    VALUES (%(at)s, %(act)s, %(actor_id)s, %(subject)s, %(subject_id)s, %(detail)s)
"""
