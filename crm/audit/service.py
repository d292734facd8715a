"""Writing the audit log."""

from datetime import datetime

from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent


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
            detail={name: value for name, value in detail.items() if value is not None},
        )
    )
