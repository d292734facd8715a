"""Reading the clinic's details, and telling what is missing before anything may be sent."""

from sqlalchemy.orm import Session

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
