from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from crm.appointments import service
from crm.appointments.models import Appointment, AppointmentState, Request, RequestKind
from crm.audit.models import AuditEvent
from crm.contacts.models import Address, Kind
from crm.db import db
from crm.delivery.models import Delivery, Mailing, Outcome
from crm.delivery.states import DeliveryState, Lane, MailingState
from tests.conftest import NOON, Time
from tests.factories import a_clinic, a_contact, a_member_of_staff, email_of

pytestmark = pytest.mark.usefixtures("time")

SignIn = Callable[..., FlaskClient]
TOMORROW = {"day": "2027-03-02", "hour": "10:30", "place": "Речная ул., 12", "revision": "0"}
AT_TEN_THIRTY = datetime.fromisoformat("2027-03-02T10:30+03:00")


def a_request(
    session: Session,
    *,
    kind: RequestKind = RequestKind.APPOINTMENT,
    with_email: bool = True,
    message: str = "",
    last_name: str = "Иванова",
    at: datetime = NOON,
    lang: str = "ru",
) -> Request:
    a_clinic(session)
    contact = a_contact(session, last_name=last_name)
    taken_in = service.request(
        session,
        kind=kind,
        contact_id=contact.id,
        email_id=email_of(session, contact).id if with_email else None,
        phone_id=a_phone(session).id,
        message=message,
        source="form:test",
        lang=lang,
        at=at,
    )
    session.commit()
    return taken_in


def a_phone(session: Session) -> Address:
    known = session.scalar(select(Address).where(Address.value == "+79160000001"))
    if known is not None:
        return known
    phone = Address(
        kind=Kind.PHONE, value="+79160000001", display="+7 916 000-00-01", created_at=NOON
    )
    session.add(phone)
    session.flush()
    return phone


def of(asked: Request, act: str) -> str:
    return f"/reception/requests/{asked.id}/{act}"


def arranged(
    client: FlaskClient, asked: Request, how: str = "propose", **typed: str
) -> TestResponse:
    client.post(of(asked, "claim"))
    return client.post(of(asked, how), data=TOMORROW | typed)


def the_visit(session: Session) -> Appointment:
    session.expire_all()
    return session.scalars(select(Appointment)).one()


def acts(session: Session) -> list[str]:
    return list(session.scalars(select(AuditEvent.act).order_by(AuditEvent.id)))


def letters_written(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Delivery)) or 0


def test_the_longest_waiting_stands_first_with_its_contact_data(
    session: Session, signed_in: SignIn
) -> None:
    a_request(session, last_name="Позднякова", at=NOON - timedelta(minutes=5))
    a_request(session, last_name="Ранняя", at=NOON - timedelta(hours=2), message="Можно утром?")
    page = signed_in("receptionist").get("/reception").text
    assert page.index("Ранняя") < page.index("Позднякова")
    assert "Можно утром?" in page
    assert "+7 916 000-00-01" in page
    assert "@mail.example" in page


def test_polling_gets_the_list_without_the_layout(session: Session, signed_in: SignIn) -> None:
    a_request(session)
    page = signed_in("receptionist").get("/reception", headers={"HX-Request": "true"}).text
    assert "Иванова" in page
    assert "<html" not in page


def test_a_taken_request_is_mine_and_others_see_who_has_it(
    session: Session, signed_in: SignIn
) -> None:
    asked = a_request(session)
    me, other = signed_in("receptionist"), signed_in("receptionist")
    assert me.post(of(asked, "claim")).status_code == 303
    assert "Иванова" in me.get("/reception?tab=mine").text
    assert "Иванова" not in other.get("/reception?tab=mine").text
    late = other.post(of(asked, "claim"))
    assert late.status_code == 409
    assert "Мария Сергеева" in late.text
    assert acts(session) == ["request.claimed"]


def test_taking_ones_own_request_twice_is_harmless(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    assert [me.post(of(asked, "claim")).status_code for _ in range(2)] == [303, 303]


def test_of_many_at_once_exactly_one_gets_it(session: Session) -> None:
    asked = a_request(session)
    crowd = [a_member_of_staff(session, "receptionist").id for _ in range(8)]
    session.commit()
    gate, engine, request_id = Barrier(len(crowd)), db.engine, asked.id

    def grab(staff_id: int) -> bool:
        with Session(engine) as own:
            gate.wait()
            held = service.claim(own, request_id, staff_id=staff_id, at=NOON)
            own.commit()
            return held is None

    with ThreadPoolExecutor(len(crowd)) as pool:
        won = list(pool.map(grab, crowd))
    assert won.count(True) == 1
    session.expire_all()
    assert session.get_one(Request, asked.id).claimed_by == crowd[won.index(True)]


def test_a_request_put_back_can_be_taken_by_a_colleague(
    session: Session, signed_in: SignIn
) -> None:
    asked = a_request(session)
    me, other = signed_in("receptionist"), signed_in("receptionist")
    me.post(of(asked, "claim"))
    assert other.post(of(asked, "release")).status_code == 409
    assert me.post(of(asked, "release")).status_code == 303
    assert other.post(of(asked, "claim")).status_code == 303


def test_a_question_is_closed_by_whoever_has_it(session: Session, signed_in: SignIn) -> None:
    me = signed_in("receptionist")
    for outcome in ("answered", "not_reached", "spam"):
        asked = a_request(session, kind=RequestKind.QUESTION)
        assert me.post(of(asked, "close"), data={"outcome": outcome}).status_code == 409
        me.post(of(asked, "claim"))
        assert me.post(of(asked, "close"), data={"outcome": outcome}).status_code == 303
        session.expire_all()
        assert session.get_one(Request, asked.id).outcome == outcome
    assert "Иванова" not in me.get("/reception").text


def test_no_other_outcome_can_be_given(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    me.post(of(asked, "claim"))
    for outcome in ("", "appointed", "x" * 5000, "\x00"):
        assert me.post(of(asked, "close"), data={"outcome": outcome}).status_code == 422


def test_an_offered_time_goes_out_on_the_fast_lane_and_closes_the_request(
    session: Session, signed_in: SignIn
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    assert arranged(me, asked).status_code == 303
    visit = the_visit(session)
    assert (visit.state, visit.starts_at, visit.revision) == ("proposed", AT_TEN_THIRTY, 1)
    delivery = session.get_one(Delivery, visit.delivery_id)
    mailing = session.get_one(Mailing, delivery.mailing_id)
    assert (mailing.lane, delivery.address_id) == (Lane.SERVICE, asked.email_id)
    done = session.get_one(Request, asked.id)
    assert (done.state, done.outcome) == ("done", "appointed")
    assert acts(session)[-1] == "appointment.proposed"


def test_sending_an_offer_twice_is_one_letter(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    arranged(me, asked)
    assert me.post(of(asked, "propose"), data=TOMORROW).status_code == 303
    assert letters_written(session) == 1
    assert the_visit(session).revision == 1


def test_only_the_claimer_may_offer(session: Session, signed_in: SignIn) -> None:
    asked = a_request(session)
    me, other = signed_in("receptionist"), signed_in("receptionist")
    assert me.post(of(asked, "propose"), data=TOMORROW).status_code == 409
    me.post(of(asked, "claim"))
    refused = other.post(of(asked, "propose"), data=TOMORROW | {"place": "Речная ул., 77"})
    assert refused.status_code == 409
    assert "Речная ул., 77" in refused.text
    assert letters_written(session) == 0


def test_an_old_page_changes_nothing(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    arranged(me, asked)
    late = signed_in("receptionist").post(
        of(asked, "propose"), data=TOMORROW | {"hour": "12:00", "revision": "0"}
    )
    assert late.status_code == 409
    assert 'value="12:00"' in late.text
    assert the_visit(session).starts_at == AT_TEN_THIRTY


def test_another_time_is_a_moved_visit_and_calls_back_the_letter_that_still_waits(
    session: Session, signed_in: SignIn
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    arranged(me, asked)
    first = the_visit(session).delivery_id
    again = me.post(of(asked, "propose"), data=TOMORROW | {"hour": "12:00", "revision": "1"})
    assert again.status_code == 303
    visit = the_visit(session)
    assert (visit.state, visit.revision) == ("moved", 2)
    assert visit.delivery_id != first
    old = session.get_one(Mailing, session.get_one(Delivery, first).mailing_id)
    assert old.state is MailingState.STOPPED


def test_without_an_address_reception_is_told_to_call(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session, with_email=False), signed_in("receptionist")
    me.post(of(asked, "claim"))
    assert 'formaction="/reception/requests' in me.get(f"/reception/requests/{asked.id}").text
    assert me.post(of(asked, "propose"), data=TOMORROW).status_code == 409
    assert me.post(of(asked, "agree"), data=TOMORROW).status_code == 303
    visit = the_visit(session)
    assert (visit.state, visit.delivery_id) == (AppointmentState.CONFIRMED, None)


def test_a_blocked_address_is_no_address(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    session.get_one(Address, asked.email_id).blocked_at = NOON
    session.commit()
    assert arranged(me, asked).status_code == 409
    assert me.post(of(asked, "agree"), data=TOMORROW).status_code == 303
    assert letters_written(session) == 0


def test_without_the_clinics_details_no_letter_is_written(
    session: Session, signed_in: SignIn
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    a_clinic(session).service_email = ""
    session.commit()
    assert arranged(me, asked).status_code == 409
    assert letters_written(session) == 0


def test_what_is_agreed_by_phone_is_confirmed_with_a_letter(
    session: Session, signed_in: SignIn
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    arranged(me, asked, "agree")
    assert the_visit(session).state is AppointmentState.CONFIRMED
    assert letters_written(session) == 1


def test_a_cancelled_visit_is_told_by_letter_once(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    arranged(me, asked, "agree")
    address = f"/reception/appointments/{the_visit(session).id}/cancel"
    assert [me.post(address).status_code for _ in range(2)] == [303, 303]
    assert the_visit(session).state is AppointmentState.CANCELLED
    assert letters_written(session) == 2
    later = me.post(of(asked, "propose"), data=TOMORROW | {"hour": "15:00", "revision": "1"})
    assert later.status_code == 409


def test_who_came_is_noted_when_the_time_has_come(
    session: Session, signed_in: SignIn, time: Time
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    arranged(me, asked, "agree")
    address = f"/reception/appointments/{the_visit(session).id}/attend"
    assert me.post(address, data={"act": "arrive"}).status_code == 409
    time.moves_to(AT_TEN_THIRTY + timedelta(minutes=20))
    assert me.post(address, data={"act": "miss"}).status_code == 303
    assert the_visit(session).state is AppointmentState.NO_SHOW
    back = me.post(address, data={"act": "arrive", "back": "day"})
    assert back.headers["Location"].endswith("/reception/day?on=2027-03-02")
    assert the_visit(session).state is AppointmentState.ARRIVED
    assert me.post(address, data={"act": "fly"}).status_code == 422


def test_the_letter_is_called_sent_only_when_the_server_has_taken_it(
    session: Session, signed_in: SignIn
) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    arranged(me, asked)
    address = f"/reception/requests/{asked.id}/letter"
    waiting = me.get(address)
    assert waiting.status_code == 200
    assert 'hx-trigger="every 2s"' in waiting.text
    visit = the_visit(session)
    delivery = session.get_one(Delivery, visit.delivery_id)
    session.add(
        Outcome(
            delivery_id=delivery.id,
            mailing_id=delivery.mailing_id,
            state=DeliveryState.FAILED,
            at=NOON,
        )
    )
    session.commit()
    ended = me.get(address)
    assert ended.status_code == 286
    assert "hx-trigger" not in ended.text


def test_a_day_lists_its_visits_in_their_order(session: Session, signed_in: SignIn) -> None:
    me = signed_in("receptionist")
    arranged(me, a_request(session, last_name="Вторая"), hour="15:00")
    arranged(me, a_request(session, last_name="Первая"), hour="09:15")
    arranged(me, a_request(session, last_name="Завтрашняя"), day="2027-03-03", hour="00:00")
    page = me.get("/reception/day?on=2027-03-02").text
    assert page.index("Первая") < page.index("Вторая")
    assert "Завтрашняя" not in page


def test_a_day_that_is_none_is_refused(signed_in: SignIn) -> None:
    me = signed_in("receptionist")
    for on in ("x", "2027-02-30", "9999-12-31", "0001-01-01", "2027-03-01\x00", "9" * 5000):
        assert me.get("/reception/day", query_string={"on": on}).status_code == 422


BAD = {
    "no day": {"day": ""},
    "no time": {"hour": ""},
    "no place": {"place": "   "},
    "yesterday": {"day": "2027-02-28"},
    "this morning": {"day": "2027-03-01", "hour": "09:00"},
    "the first year": {"day": "0001-01-01"},
    "the last year": {"day": "9999-12-31", "hour": "23:59"},
    "more than a year": {"day": "2028-03-03"},
    "no such day": {"day": "2027-02-30"},
    "words for a day": {"day": "завтра"},
    "a long day": {"day": "9" * 5000},
    "no such hour": {"hour": "25:00"},
    "control characters in the time": {"hour": "10:30\r\nBcc: x@mail.example"},
    "NUL in the time": {"hour": "\x00"},
    "a header in the place": {"place": "Речная ул., 12\r\nBcc: x@mail.example"},
    "an encoded word": {"place": "=?utf-8?B?0JA=?="},
    "NUL in the place": {"place": "Речная\x00 ул."},
    "markup": {"place": "<b>Речная ул.</b>"},
    "our own brackets": {"place": "⟦page_url|⟧"},
    "a turned line": {"place": "Речная \u202eул."},
    "too long": {"place": "ул. " * 100},
    "a speciality": {"place": "Речная ул., 12, кабинет гинеколога"},
    "a test": {"place": "Речная ул., 12, МРТ"},
    "a promotion": {"place": "Речная ул., 12, скидка"},
}


def test_what_cannot_be_offered_is_refused_and_kept(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    for name, typed in BAD.items():
        refused = arranged(me, asked, **typed)
        assert refused.status_code == 422, name
        assert "cl-summary" in refused.text, name
        assert ("Речная ул., 12" if "place" not in typed else "10:30") in refused.text, name
    assert letters_written(session) == 0
    assert session.scalars(select(Appointment)).all() == []


BODIES = [
    (b"", "application/x-www-form-urlencoded"),
    (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
    (b"place=%ff%fe&day=2027-03-02&hour=10:30", "application/x-www-form-urlencoded"),
    (b'{"day": "2027-03-02"}', "application/json"),
    (b"x" * 1000, "text/plain"),
    (b"--", "multipart/form-data; boundary=x"),
    (b"x=" + b"y" * 10_000_000, "application/x-www-form-urlencoded"),
]


def test_no_body_breaks_the_offer(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    me.post(of(asked, "claim"))
    for body, kind in BODIES:
        answer = me.post(of(asked, "propose"), data=body, content_type=kind)
        assert answer.status_code in (409, 413, 422), kind
    assert letters_written(session) == 0


def test_a_page_without_its_revision_changes_nothing(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    for revision in ("", "x", "-1", "²", "9" * 400):
        assert arranged(me, asked, revision=revision).status_code == 409, revision


def test_the_clinics_own_address_may_be_any(session: Session, signed_in: SignIn) -> None:
    asked, me = a_request(session), signed_in("receptionist")
    usual = "190000, Санкт-Петербург, ул. Хирурга Иванова, 1"
    a_clinic(session).postal_address = usual
    session.commit()
    assert arranged(me, asked, place=usual).status_code == 303


def test_what_is_not_there_is_not_found(session: Session, signed_in: SignIn) -> None:
    me = signed_in("receptionist")
    a_clinic(session)
    session.commit()
    for number in ("0", "77", "9" * 30, "x"):
        assert me.get(f"/reception/requests/{number}").status_code == 404
        assert me.post(f"/reception/requests/{number}/claim").status_code == 404
        assert me.post(f"/reception/requests/{number}/propose", data=TOMORROW).status_code == 404
        assert me.post(f"/reception/appointments/{number}/cancel").status_code == 404


def test_looking_at_a_request_is_written_down(session: Session, signed_in: SignIn) -> None:
    asked = a_request(session)
    signed_in("dpo").get(f"/reception/requests/{asked.id}")
    assert acts(session) == ["request.viewed"]


READS = ["/reception", "/reception/day", "/reception/requests/1", "/reception/requests/1/letter"]
WRITES = [
    "/reception/requests/1/claim",
    "/reception/requests/1/release",
    "/reception/requests/1/close",
    "/reception/requests/1/propose",
    "/reception/requests/1/agree",
    "/reception/appointments/1/cancel",
    "/reception/appointments/1/attend",
]


@pytest.mark.parametrize("role", ["marketer", "admin"])
def test_marketing_and_the_keeper_of_accounts_see_none_of_it(
    session: Session, signed_in: SignIn, role: str
) -> None:
    a_request(session)
    one = signed_in(role)
    answers = [one.get(path) for path in READS] + [one.post(path) for path in WRITES]
    assert {answer.status_code for answer in answers} == {403}
    assert not any("Иванова" in answer.text for answer in answers)


def test_the_person_in_charge_of_personal_data_looks_and_does_not_touch(
    session: Session, signed_in: SignIn
) -> None:
    a_request(session)
    dpo = signed_in("dpo")
    assert {dpo.get(path).status_code for path in READS} <= {200, 286}
    assert {dpo.post(path).status_code for path in WRITES} == {403}
    assert "/claim" not in dpo.get("/reception").text


def test_a_stranger_gets_nothing(session: Session, client: FlaskClient) -> None:
    a_request(session)
    assert {client.get(path).status_code for path in READS} <= {302, 401}
    assert {client.post(path).status_code for path in WRITES} == {401}
