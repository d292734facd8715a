"""The clinic's details: reading and changing them, and what is missing before anything leaves."""

from collections.abc import Mapping
from datetime import datetime, time

from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.clinic.models import Clinic

REQUIRED = ("name", "legal_name", "inn", "postal_address", "email", "news_email", "service_email")


def details(session: Session) -> Clinic:
    """Return the clinic's row, making an empty one the first time."""
    clinic = session.get(Clinic, 1)
    if clinic is None:
        clinic = Clinic()
        session.add(clinic)
        session.flush()
    return clinic


def missing(clinic: Clinic) -> list[str]:
    """Return the names of details without which no promotional letter may leave.

    Source: policy clause 7.1 and 38-FZ: a letter names its operator and where to write to.
    """
    return [name for name in REQUIRED if not getattr(clinic, name)]


def change(
    session: Session, wanted: Mapping[str, str | int | time | None], *, at: datetime, by: int
) -> list[str]:
    """Set these details by their names, and return which of them are different now.

    The audit log gets the names of what changed, never the values.
    """
    clinic = details(session)
    changed = [name for name, value in wanted.items() if getattr(clinic, name) != value]
    for name in changed:
        setattr(clinic, name, wanted[name])
    if changed:
        fields = " ".join(changed)
        note(session, "clinic.changed", at=at, actor_id=by, subject="clinic", fields=fields)
    session.flush()
    return changed
