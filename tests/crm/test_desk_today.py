from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from crm.appointments.models import (
    Appointment,
    AppointmentState,
    Request,
    RequestKind,
    RequestState,
)
from crm.consent.rules import Act
from crm.desk.today import figures, midnight, to_do
from tests.conftest import Time
from tests.crm.desk_support import text_of
from tests.factories import NOON, a_clinic, a_contact, a_willing_contact, an_event, email_of

SignedIn = Callable[..., FlaskClient]


@pytest.mark.usefixtures("time")
def test_today_counts_what_waits(session: Session) -> None:
    contact = a_willing_contact(session, at=NOON - timedelta(days=3))
    for state in (RequestState.WAITING, RequestState.WAITING, RequestState.CLAIMED):
        session.add(
            Request(
                kind=RequestKind.QUESTION,
                contact_id=contact.id,
                source="form:x",
                received_at=NOON,
                state=state,
            )
        )
    for proposed in (AppointmentState.PROPOSED, AppointmentState.MOVE_REQUESTED):
        session.add(Appointment(contact_id=contact.id, state=proposed, created_at=NOON))
    an_event(session, Act.OPTED_OUT, email_of(session, contact))
    yesterday = a_willing_contact(session, at=NOON - timedelta(days=3))
    an_event(session, Act.OPTED_OUT, email_of(session, yesterday), at=NOON - timedelta(hours=16))
    session.flush()
    counted = figures(session, midnight=midnight("Europe/Moscow", at=NOON))
    assert (counted.waiting, counted.taken) == (2, 1)
    assert (counted.unanswered, counted.to_move) == (1, 1)
    assert counted.refused_today == 1


def test_the_first_steps_go_once_they_are_done(session: Session) -> None:
    clinic = a_clinic(session)
    begun = figures(session, midnight=NOON)
    assert to_do(clinic, begun) == [("clinic", True), ("forms", False), ("contacts", False)]
    clinic.inn = ""
    assert to_do(clinic, begun)[0] == ("clinic", False)


def test_each_role_sees_its_own_day(signed_in: SignedIn, session: Session, time: Time) -> None:
    a_clinic(session)
    contact = a_contact(session, last_name="Завтрашняя")
    session.add(
        Appointment(
            contact_id=contact.id,
            state=AppointmentState.CONFIRMED,
            starts_at=time.at + timedelta(days=1),
            place="Кабинет 4",
            created_at=NOON,
        )
    )
    session.commit()
    assert "Завтрашняя" in text_of(signed_in("receptionist").get("/").text)
    for role in ("marketer", "admin"):
        page = signed_in(role).get("/")
        assert page.status_code == 200
        assert "Завтрашняя" not in page.text
