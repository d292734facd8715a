import pytest
from sqlalchemy.orm import Session

from crm.contacts.search import Reach, matching, page_of
from tests.crm.desk_support import a_phone
from tests.factories import NOON, a_contact

REMEMBERED = [
    "ковалева",
    "КОВАЛЁВА",
    "  вал  ",
    "анна ковал",
    "kov@",
    "KOV@mail.example",
    "kov",
    "8 (926) 304-25-51",
    "+7 926 304 25 51",
    "304-25",
    "2551",
    "9263042551",
]


def found(session: Session, typed: str, reach: Reach = Reach.FRAGMENT) -> list[str]:
    where = matching(typed, reach=reach)
    rows = page_of(session, where, after_id=None, before_id=None, limit=51)
    return [row.last_name for row in rows]


@pytest.fixture
def two(session: Session) -> None:
    anna = a_contact(session, last_name="Ковалёва", first_name="Анна", email="kov@mail.example")
    a_contact(session, last_name="Громов", first_name="Павел", email="gromov_p@mail.example")
    a_phone(session, anna, "+79263042551")


@pytest.mark.usefixtures("two")
def test_a_person_is_found_by_what_one_remembers(session: Session) -> None:
    for typed in REMEMBERED:
        assert found(session, typed) == ["Ковалёва"], typed


@pytest.mark.usefixtures("two")
def test_signs_of_a_query_language_are_only_letters(session: Session) -> None:
    for typed in ("%", "о%в", "\\", "ков_л", "'; --", "я" * 5000, "gromov%p", "%@%"):
        assert found(session, typed) == [], typed
    assert found(session, "ковал\x00") == ["Ковалёва"]
    assert found(session, "gromov_p") == ["Громов"]


@pytest.mark.usefixtures("two")
def test_who_sees_masks_cannot_feel_for_an_address_letter_by_letter(session: Session) -> None:
    for part in ("kov@", "kov", "2551", "304-25", "@mail.example"):
        assert found(session, part, Reach.WHOLE) == []
    for whole in ("kov@mail.example", "8 926 304-25-51", "+79263042551", "926 304 25 51"):
        assert found(session, whole, Reach.WHOLE) == ["Ковалёва"]


def test_yo_stands_beside_ye(session: Session) -> None:
    for name in ("Яковлев", "Ёлкин", "Елагин", "Ежов"):
        a_contact(session, last_name=name)
    assert found(session, "") == ["Ежов", "Елагин", "Ёлкин", "Яковлев"]


def test_a_destroyed_person_is_not_found(session: Session) -> None:
    a_contact(session, last_name="Громов").destroyed_at = NOON
    session.flush()
    assert found(session, "громов") == []
    assert found(session, "") == []
