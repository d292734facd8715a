"""Writing down the requests of the forms and the visits they led to, with their letters."""

from sqlalchemy.orm import Session

from crm.appointments.models import Appointment, Request
from crm.demo.clinic import PLACE
from crm.demo.reception import Asked, Visit
from crm.demo.rows import Row, put
from crm.intake.models import Form, Submission


def put_requests(session: Session, asked: list[Asked], forms: list[Form], *, staff_id: int) -> None:
    """Write requests, submissions and appointments."""
    by_kind = {form.kind: form for form in forms}
    put(session, Request, [_request(one, staff_id) for one in asked])
    put(
        session,
        Submission,
        [
            {
                "form_id": by_kind[one.kind].id,
                "contact_id": one.person.id,
                "request_id": one.id,
                "received_at": one.at,
            }
            for one in asked
            if one.person.created_by is None
        ],
    )
    visits = [_appointment(one, one.visit, staff_id) for one in asked if one.visit is not None]
    put(session, Appointment, visits)


def _request(one: Asked, staff_id: int) -> Row:
    person = one.person
    return {
        "id": one.id,
        "kind": one.kind,
        "contact_id": person.id,
        "email_id": person.email.id if person.email else None,
        "phone_id": person.phone.id if person.phone else None,
        "message": one.message,
        "source": one.source,
        "lang": person.lang,
        "received_at": one.at,
        "state": one.state,
        "claimed_by": staff_id if one.claimed_at else None,
        "claimed_at": one.claimed_at,
        "closed_at": one.closed_at,
        "outcome": one.outcome,
    }


def _appointment(one: Asked, visit: Visit, staff_id: int) -> Row:
    return {
        "request_id": one.id,
        "contact_id": one.person.id,
        "email_id": one.person.email.id if one.person.email else None,
        "state": visit.state,
        "starts_at": visit.starts_at,
        "place": PLACE,
        "wish": visit.wish,
        "lang": one.person.lang,
        "revision": visit.revision,
        "created_at": visit.proposed_at,
        "created_by": staff_id,
        "proposed_at": visit.proposed_at,
        "answered_at": visit.answered_at,
        "delivery_id": None,
    }
