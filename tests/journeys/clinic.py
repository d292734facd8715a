"""The clinic of the journeys: its staff with passwords, a form, and people who agreed."""

from datetime import timedelta
from typing import Final

from sqlalchemy.orm import Session

from crm import clock
from crm.appointments.models import RequestKind
from crm.intake.models import Form
from crm.staff import service as staff
from crm.staff.models import RoleName
from tests.factories import a_clinic, a_willing_contact, consent_texts

PASSWORD: Final = "листья падают с клёнов"
RIGHT_INN: Final = "7899012340"
"""With a check digit that fits, so that the page of the details takes it; it is nobody's."""
FORM: Final = "appointment"
KNOWN: Final = timedelta(days=40)
"""How long everybody here has been known."""


def furnish(session: Session, *, site: str) -> None:
    """Fill an empty database; needs an application context, which holds the hash's parameters."""
    at = clock.now() - KNOWN
    clinic = a_clinic(session)
    clinic.inn = RIGHT_INN
    # A night that is not now, whenever that is.
    clinic.quiet_from = (at + timedelta(hours=11)).time()
    clinic.quiet_until = (at + timedelta(hours=12)).time()
    consent_texts(session, at=at)
    session.add(
        Form(
            key=FORM,
            kind=RequestKind.APPOINTMENT,
            title_ru="Запись на приём",
            title_en="Make an appointment",
            text_keys=["processing", "marketing_email"],
            origins=[site],
            created_at=at,
        )
    )
    for role in RoleName:
        someone = staff.add(
            session,
            email=address_of(role),
            name=f"Colleague {role.value}",
            roles=[role],
            password=PASSWORD,
            at=at,
            by=None,
        )
        someone.lang = "en"
    for number in range(12):
        a_willing_contact(session, email=f"reader{number}@mail.example", at=at)
    session.commit()


def address_of(role: str) -> str:
    return f"{role}@clinic.example"
