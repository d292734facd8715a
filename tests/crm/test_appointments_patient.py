"""The patient's page: what a link of a letter shows and does."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.appointments import letters, proposals, service
from crm.appointments.models import Appointment, AppointmentState, Request
from crm.appointments.proposals import Visit
from crm.audit.models import AuditEvent
from crm.config import Settings
from crm.consent.tokens import Right, mint, signer
from crm.delivery.models import Delivery
from tests.conftest import KEYS, NOON, Time
from tests.crm.test_appointments import AT_TEN_THIRTY, a_request, of, the_visit
from tests.crm.test_appointments import SignIn as SignIn
from tests.factories import a_clinic, a_member_of_staff

pytestmark = pytest.mark.usefixtures("time")
S = AppointmentState


def proposed(session: Session, settings: Settings, *, lang: str = "ru") -> Appointment:
    asked = a_request(session, lang=lang)
    staff = a_member_of_staff(session, "receptionist", name="Ольга Приёмная")
    service.claim(session, asked.id, staff_id=staff.id, at=NOON)
    visit = Visit(starts_at=AT_TEN_THIRTY, place="Речная ул., 12", revision=0)
    made = proposals.propose(
        session, asked.id, visit, staff_id=staff.id, settings=settings, at=NOON
    )
    session.commit()
    return made


def path(visit: Appointment, settings: Settings) -> str:
    return letters.link(visit, settings).removeprefix(settings.public_url)


def events(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def test_the_page_says_when_and_where_and_names_nobody(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    page = client.get(path(proposed(session, settings), settings))
    assert page.status_code == 200
    assert "2 марта, вторник, 10:30" in page.text
    assert "Речная ул., 12" in page.text
    for name in ("Иванова", "Анна", "Сергеевна", "Приёмная", "mail.example"):
        assert name not in page.text
    assert "<script" not in page.text
    assert "Set-Cookie" not in page.headers
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_looking_changes_nothing(session: Session, settings: Settings, client: FlaskClient) -> None:
    link = path(proposed(session, settings), settings)
    before = events(session)
    for _ in range(3):
        client.get(link + "?action=cancel")
        client.head(link)
    assert the_visit(session).state is S.PROPOSED
    assert events(session) == before


def test_one_click_confirms_and_a_second_one_is_harmless(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    link = path(proposed(session, settings), settings)
    before = events(session)
    for _ in range(2):
        answer = client.post(link, data={"action": "confirm"})
        assert answer.status_code == 200
    visit = the_visit(session)
    assert (visit.state, visit.answered_at) == (S.CONFIRMED, NOON)
    assert events(session) == before + 1


def test_the_clinic_sees_at_once_who_asks_for_another_time(
    session: Session, settings: Settings, client: FlaskClient, signed_in: SignIn
) -> None:
    visit = proposed(session, settings)
    a_request(session, last_name="Давняя", at=NOON - timedelta(days=2))
    answer = client.post(
        path(visit, settings), data={"action": "move", "wish": "После 17:00,\r\nпожалуйста"}
    )
    assert answer.status_code == 200
    assert (the_visit(session).state, the_visit(session).wish) == (
        S.MOVE_REQUESTED,
        "После 17:00,\nпожалуйста",
    )
    page = signed_in("receptionist").get("/reception").text
    assert page.index("После 17:00") < page.index("Давняя")


def test_a_moved_visit_is_offered_anew_and_the_old_link_shows_it(
    session: Session, settings: Settings, client: FlaskClient, signed_in: SignIn
) -> None:
    visit = proposed(session, settings)
    old = path(visit, settings)
    client.post(old, data={"action": "move"})
    me, asked = signed_in("receptionist"), session.get_one(Request, visit.request_id)
    me.post(of(asked, "claim"))
    typed = {"day": "2027-03-04", "hour": "18:15", "place": "Речная ул., 12", "revision": "1"}
    assert me.post(of(asked, "propose"), data=typed).status_code == 303
    assert the_visit(session).state is S.MOVED
    page = client.get(old).text
    assert "4 марта, четверг, 18:15" in page
    assert "10:30" not in page
    assert 'name="revision" value="2"' in page


def test_a_time_nobody_has_seen_cannot_be_confirmed(
    session: Session, settings: Settings, client: FlaskClient, signed_in: SignIn
) -> None:
    visit = proposed(session, settings)
    link, asked = path(visit, settings), session.get_one(Request, visit.request_id)
    typed = {"day": "2027-03-04", "hour": "18:15", "place": "Речная ул., 12", "revision": "1"}
    assert signed_in("receptionist").post(of(asked, "propose"), data=typed).status_code == 303
    for seen in ({"revision": "1"}, {}):
        late = client.post(link, data={"action": "confirm"} | seen)
        assert late.status_code == 409
        assert "4 марта, четверг, 18:15" in late.text
    assert the_visit(session).state is S.MOVED
    assert client.post(link, data={"action": "confirm", "revision": "2"}).status_code == 200
    assert the_visit(session).state is S.CONFIRMED


def test_after_cancelling_nothing_else_can_be_chosen(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    link = path(proposed(session, settings), settings)
    page = client.post(link, data={"action": "cancel"})
    assert page.status_code == 200
    assert "<form" not in page.text
    assert client.post(link, data={"action": "cancel"}).status_code == 200
    assert client.post(link, data={"action": "confirm"}).status_code == 409
    assert client.post(link, data={"action": "move"}).status_code == 409
    assert the_visit(session).state is S.CANCELLED


def test_whoever_cancels_after_asking_for_another_time_leaves_the_queue(
    session: Session, settings: Settings, client: FlaskClient, signed_in: SignIn
) -> None:
    link = path(proposed(session, settings), settings)
    client.post(link, data={"action": "move"})
    client.post(link, data={"action": "cancel"})
    assert "Иванова" not in signed_in("receptionist").get("/reception").text


def test_a_visit_of_the_past_says_so(
    session: Session, settings: Settings, client: FlaskClient, time: Time
) -> None:
    link = path(proposed(session, settings), settings)
    time.moves_to(AT_TEN_THIRTY)
    assert "<form" not in client.get(link).text
    for action in ("confirm", "move", "cancel"):
        assert client.post(link, data={"action": action}).status_code == 409
    assert the_visit(session).state is S.PROPOSED


def test_bad_answers_get_a_sentence_and_keep_what_was_typed(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    link = path(proposed(session, settings), settings)
    for action in ("", "x", "propose", "arrive", "\x00", "c" * 5000):
        assert client.post(link, data={"action": action}).status_code == 422, action
    for typed in ("ж" * 301, "утром\x00", "вечером \u202e", "днём \x1b[31m"):
        answer = client.post(link, data={"action": "move", "wish": typed})
        assert answer.status_code == 422
        assert typed[:5] in answer.text
        assert "cl-error" in answer.text
    for body, kind in (
        (b"", "text/plain"),
        (b"{}", "application/json"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a" * 10_000_000, "application/x-www-form-urlencoded"),
    ):
        assert client.post(link, data=body, content_type=kind).status_code in (413, 422)
    assert client.post(link, data={"action": "confirm", "revision": "9" * 5000}).status_code == 200
    session.expire_all()
    assert the_visit(session).wish == ""


def test_what_a_patient_writes_is_shown_as_text(
    session: Session, settings: Settings, client: FlaskClient, signed_in: SignIn
) -> None:
    visit = proposed(session, settings)
    client.post(path(visit, settings), data={"action": "move", "wish": "<script>alert(1)</script>"})
    me = signed_in("receptionist")
    for page in (me.get("/reception").text, me.get(f"/reception/requests/{visit.request_id}").text):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_no_other_token_opens_the_page(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    visit = proposed(session, settings)
    good = path(visit, settings).removeprefix("/a/")
    by = signer(Right.APPOINTMENT, KEYS)
    forged = [
        "x",
        good[:-1],
        good.upper(),
        "%00",
        "%ff%fe",
        "ы",
        "a" * 5000,
        mint(signer(Right.CONFIRM, KEYS), visit.id, 1),
        mint(signer(Right.APPOINTMENT, ("f" * 40,)), visit.id, 1),
        mint(by, visit.id),
        mint(by, str(visit.id), 1),
        mint(by, visit.id + 1, 1),
    ]
    for token in forged:
        assert client.get(f"/a/{token}").status_code == 404, token
        assert client.post(f"/a/{token}", data={"action": "cancel"}).status_code == 404, token
    assert the_visit(session).state is S.PROPOSED


def test_a_link_lives_through_a_change_of_keys(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    visit = proposed(session, settings)
    old = mint(signer(Right.APPOINTMENT, KEYS[1:]), visit.id, visit.revision)
    assert client.get(f"/a/{old}").status_code == 200


def test_an_english_letter_leads_to_an_english_page(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    page = client.get(path(proposed(session, settings, lang="en"), settings)).text
    assert "Tuesday, 2 March, 10:30" in page
    assert "?lang=en" in page


def test_the_patients_own_answer_sends_no_letter(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    link = path(proposed(session, settings), settings)
    client.post(link, data={"action": "confirm"})
    client.post(link, data={"action": "cancel"})
    assert session.scalar(select(func.count()).select_from(Delivery)) == 1


def test_a_clinic_without_details_still_answers(
    session: Session, settings: Settings, client: FlaskClient
) -> None:
    visit = proposed(session, settings)
    clinic = a_clinic(session)
    clinic.phone = clinic.legal_name = clinic.postal_address = ""
    session.commit()
    assert client.get(path(visit, settings)).status_code == 200
