"""What comes to reception, and what becomes of it."""

from datetime import datetime

from sqlalchemy.orm import Session

from crm.appointments.models import Appointment, AppointmentState, Request, RequestKind


def request(
    session: Session,
    *,
    kind: RequestKind,
    contact_id: int,
    email_id: int | None,
    phone_id: int | None,
    message: str,
    source: str,
    lang: str,
    at: datetime,
) -> Request:
    """Put a request into reception's queue; one for an appointment opens an appointment too.

    ``email_id`` and ``phone_id`` are where this person asked to be answered, which may not be an
    address that the contact is known by.
    """
    asked = Request(
        kind=kind,
        contact_id=contact_id,
        email_id=email_id,
        phone_id=phone_id,
        message=message,
        source=source,
        lang=lang,
        received_at=at,
    )
    session.add(asked)
    session.flush()
    if kind is RequestKind.APPOINTMENT:
        session.add(
            Appointment(
                request_id=asked.id,
                contact_id=contact_id,
                email_id=email_id,
                state=AppointmentState.REQUESTED,
                lang=lang,
                created_at=at,
            )
        )
        session.flush()
    return asked
