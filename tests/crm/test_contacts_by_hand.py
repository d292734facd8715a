from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.consent.rules import Act, Purpose, Reason
from crm.consent.service import refusal_now
from crm.contacts.models import Address, Contact, ContactAddress, Kind
from tests.crm.desk_support import ANNA, acts, text_of
from tests.factories import KEYS, NOON, a_contact, a_willing_contact, an_event, email_of

SignedIn = Callable[..., FlaskClient]


REFUSED = [
    ("last_name", "А" * 81),
    ("first_name", "<script>alert(1)</script>"),
    ("patronymic", "Петровна\r\nBcc: x@y.example"),
    ("last_name", "=?utf-8?b?0J8=?="),
    ("email", "anna"),
    ("email", "anna@mail.example\r\nBcc: x@y.example"),
    ("email", "a" * 400 + "@mail.example"),
    ("email", "анна@почта.рф"),
    ("phone", "12"),
    ("phone", "+7926\x003042551"),
    ("category", ""),
    ("category", "vip"),
    ("source", ""),
    ("source", "import"),
    ("note", "н" * 501),
    ("note", "до\x00после"),
    ("birth_date", "1980-01-01"),
    ("diagnosis", "-"),
    ("passport", "4500 000000"),
]


def how_many(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Contact)) or 0


def newest(session: Session) -> Contact:
    return session.scalars(select(Contact).order_by(Contact.id.desc()).limit(1)).one()


def typed(contact: Contact, **changes: str) -> dict[str, str]:
    kept = {key: value for key, value in ANNA.items() if key != "source"}
    return {**kept, "revision": str(contact.revision), **changes}


def test_a_person_added_by_hand_is_written_to_by_nobody(
    signed_in: SignedIn, session: Session
) -> None:
    answer = signed_in("receptionist").post("/contacts/new", data=ANNA)
    assert answer.status_code == 303
    anna = newest(session)
    assert answer.location == f"/contacts/{anna.id}"
    assert (anna.full_name, anna.source) == ("Ковалёва Анна Петровна", "desk")
    email = email_of(session, anna)
    assert email.value == "kovaleva@mail.example"
    reason = refusal_now(session, email, Purpose.MARKETING, keys=KEYS, at=NOON)
    assert reason is Reason.NEVER_ASKED
    phone = session.scalars(select(Address).where(Address.kind == Kind.PHONE)).one()
    assert phone.value == "+79263042551"
    assert "contact.added" in acts(session)


def test_what_cannot_be_taken_is_refused_and_what_was_typed_stays(
    signed_in: SignedIn, session: Session
) -> None:
    client = signed_in("dpo")
    for field, value in REFUSED:
        answer = client.post("/contacts/new", data={**ANNA, field: value})
        assert answer.status_code == 422, field
        assert 'class="cl-summary"' in answer.text
        kept = "Анна" if field != "first_name" else "Ковалёва"
        assert f'value="{kept}"' in answer.text, field
        assert "<script>alert" not in answer.text
    assert how_many(session) == 0


def test_bytes_in_another_charset_are_refused(signed_in: SignedIn, session: Session) -> None:
    answer = signed_in("dpo").post(
        "/contacts/new",
        data=b"last_name=\xcf\xe5\xf2\xf0&category=patient&source=desk",
        content_type="application/x-www-form-urlencoded",
    )
    assert (answer.status_code, how_many(session)) == (422, 0)


def test_somebody_without_any_name_is_refused(signed_in: SignedIn, session: Session) -> None:
    nameless = {**ANNA, "last_name": "", "first_name": " ", "patronymic": ""}
    answer = signed_in("dpo").post("/contacts/new", data=nameless)
    assert (answer.status_code, how_many(session)) == (422, 0)


def test_an_empty_form_says_what_is_missing(signed_in: SignedIn) -> None:
    answer = signed_in("receptionist").post(
        "/contacts/new", data="", content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 422
    assert answer.text.count('class="cl-error"') >= 2


def test_json_is_not_taken(signed_in: SignedIn) -> None:
    client = signed_in("dpo")
    for body in (b"[1]", b'"x"', b'{"last_name": {"a": 1}}', b"\xff", b""):
        answer = client.post("/contacts/new", data=body, content_type="application/json")
        assert answer.status_code == 415


def test_a_huge_body_is_refused(signed_in: SignedIn, session: Session) -> None:
    answer = signed_in("dpo").post("/contacts/new", data={**ANNA, "note": "x" * 10_000_000})
    assert (answer.status_code, how_many(session)) == (413, 0)


def test_health_words_are_saved_only_after_a_second_look(
    signed_in: SignedIn, session: Session
) -> None:
    client = signed_in("receptionist")
    ill = {**ANNA, "note": "У сына диабет"}
    first = client.post("/contacts/new", data=ill)
    assert first.status_code == 422
    assert "диабет" in text_of(first.text)
    assert 'name="keep_note"' in first.text
    assert how_many(session) == 0
    assert acts(session) == ["contact.note_warned"]
    assert client.post("/contacts/new", data={**ill, "keep_note": "y"}).status_code == 303
    assert newest(session).note == "У сына диабет"


def test_a_shared_mailbox_is_shown_and_asked_about(signed_in: SignedIn, session: Session) -> None:
    other = a_contact(session, last_name="Громов", email="kovaleva@mail.example")
    session.commit()
    client = signed_in("receptionist")
    first = client.post("/contacts/new", data=ANNA)
    assert first.status_code == 422
    assert "Громов" in first.text
    assert client.post("/contacts/new", data={**ANNA, "shared": "y"}).status_code == 303
    assert email_of(session, newest(session)).id == email_of(session, other).id


def test_consent_does_not_move_to_another_address(signed_in: SignedIn, session: Session) -> None:
    contact = a_willing_contact(session, email="old@mail.example")
    old = email_of(session, contact)
    session.commit()
    answer = signed_in("dpo").post(
        f"/contacts/{contact.id}/edit", data=typed(contact, email="new@mail.example", phone="")
    )
    assert answer.status_code == 303
    session.expire_all()
    new = email_of(session, contact)
    assert new.value == "new@mail.example"
    assert old.value == "old@mail.example"
    assert refusal_now(session, new, Purpose.MARKETING, keys=KEYS, at=NOON) is Reason.NEVER_ASKED
    assert refusal_now(session, old, Purpose.MARKETING, keys=KEYS, at=NOON) is None
    links = select(func.count()).select_from(ContactAddress)
    assert session.scalar(links.where(ContactAddress.address_id == old.id)) == 0


def test_an_address_typed_again_is_the_same_with_its_refusal(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_willing_contact(session, email="old@mail.example")
    an_event(session, Act.OPTED_OUT, email_of(session, contact))
    session.commit()
    client = signed_in("dpo")
    for email in ("new@mail.example", "OLD@mail.example"):
        session.refresh(contact)
        way = f"/contacts/{contact.id}/edit"
        assert client.post(way, data=typed(contact, email=email)).status_code == 303
    session.expire_all()
    email_again = email_of(session, contact)
    reason = refusal_now(session, email_again, Purpose.MARKETING, keys=KEYS, at=NOON)
    assert reason is Reason.OPTED_OUT


def test_of_two_who_edit_the_second_hears_of_the_first(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_contact(session)
    session.commit()
    way, seen = f"/contacts/{contact.id}/edit", typed(contact)
    first, second = signed_in("receptionist"), signed_in("dpo")
    assert first.post(way, data={**seen, "last_name": "Первая"}).status_code == 303
    answer = second.post(way, data={**seen, "last_name": "Вторая"})
    assert answer.status_code == 409
    assert "Вторая" in answer.text
    session.expire_all()
    assert contact.last_name == "Первая"


def test_a_revision_made_up_changes_nothing(signed_in: SignedIn, session: Session) -> None:
    contact = a_contact(session)
    session.commit()
    client = signed_in("dpo")
    for revision in ("", "x", "-1", "9" * 40, "9" * 5000):
        answer = client.post(f"/contacts/{contact.id}/edit", data=typed(contact, revision=revision))
        assert answer.status_code in {409, 422}
    session.expire_all()
    assert contact.last_name == "Иванова"


def test_an_edit_without_a_change_leaves_no_line(signed_in: SignedIn, session: Session) -> None:
    client = signed_in("receptionist")
    client.post("/contacts/new", data=ANNA)
    anna = newest(session)
    assert client.post(f"/contacts/{anna.id}/edit", data=typed(anna)).status_code == 303
    assert "contact.changed" not in acts(session)


def test_a_destroyed_person_cannot_be_edited(signed_in: SignedIn, session: Session) -> None:
    contact = a_contact(session)
    contact.destroyed_at = NOON
    session.commit()
    client = signed_in("dpo")
    assert client.get(f"/contacts/{contact.id}/edit").status_code == 404
    assert client.post(f"/contacts/{contact.id}/edit", data=typed(contact)).status_code == 404
