from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from crm.consent.rules import Act
from tests.crm.desk_support import a_phone, counted, names, people
from tests.factories import a_contact, a_willing_contact, an_event, email_of

SignedIn = Callable[..., FlaskClient]


def test_a_page_costs_as_many_queries_for_fifty_as_for_ten(
    signed_in: SignedIn, session: Session
) -> None:
    client = signed_in("receptionist")
    people(session, 10)
    client.get("/contacts")
    with counted() as ten:
        assert len(names(client.get("/contacts").text)) == 10
    people(session, 60)
    with counted() as fifty:
        assert len(names(client.get("/contacts").text)) == 50
    assert len(fifty) == len(ten) <= 9


def test_pages_neither_skip_nor_repeat_while_people_are_added(
    signed_in: SignedIn, session: Session
) -> None:
    client = signed_in("receptionist")
    made = people(session, 60)
    first = names(client.get("/contacts").text)
    a_contact(session, last_name="Абрамова")
    a_contact(session, last_name="Петровааа")
    session.commit()
    second = names(client.get(f"/contacts?after={made[49].id}").text)
    assert first + second == [contact.full_name for contact in made]
    back = names(client.get(f"/contacts?before={made[50].id}").text)
    assert back[-3:] == [contact.full_name for contact in made[47:50]]


def test_a_nonsensical_address_shows_the_beginning(signed_in: SignedIn, session: Session) -> None:
    a_contact(session)
    session.commit()
    client = signed_in("dpo")
    for query in ("after=x", "after=-1", f"after={'9' * 20}", "after=0", "consent=all", "q=%00"):
        answer = client.get(f"/contacts?{query}")
        assert answer.status_code == 200
        assert names(answer.text) == ["Иванова Анна Сергеевна"], query


def test_each_channel_says_in_a_word_what_is_allowed(signed_in: SignedIn, session: Session) -> None:
    a_phone(session, a_willing_contact(session), "+79263042551")
    a_contact(session)
    asked = a_contact(session)
    an_event(session, Act.ASKED, email_of(session, asked))
    refused = a_willing_contact(session)
    an_event(session, Act.OPTED_OUT, email_of(session, refused))
    session.commit()
    session.commit()
    client = signed_in("receptionist", "marketer")
    page = client.get("/contacts").text
    for kind, how_many in (("on", 1), ("wait", 1), ("no", 1), ("off", 2)):
        assert page.count(f"cl-chip cl-chip-{kind}") == how_many, kind
    for state in ("allowed", "waiting", "refused", "never_asked"):
        assert len(names(client.get(f"/contacts?consent={state}").text)) == 1, state
    assert names(client.get("/contacts?consent=expired").text) == []


def test_a_marketer_sees_masks_and_a_receptionist_addresses(
    signed_in: SignedIn, session: Session
) -> None:
    contact = a_willing_contact(session, email="kovaleva@mail.example")
    a_phone(session, contact, "+79263042551")
    session.commit()
    for way in ("/contacts", f"/contacts/{contact.id}"):
        masked = signed_in("marketer").get(way).text
        assert "kovaleva@" not in masked
        assert "9263042551" not in masked
        assert "k***@mail.example" in masked
        whole = signed_in("receptionist").get(way).text
        assert "kovaleva@mail.example" in whole
        assert "+79263042551" in whole


def test_the_script_gets_the_list_alone_and_the_reader_a_page(
    signed_in: SignedIn, session: Session
) -> None:
    a_contact(session, last_name="Громов")
    session.commit()
    client = signed_in("receptionist")
    piece = client.get("/contacts?q=гром", headers={"HX-Request": "true"})
    assert "<html" not in piece.text
    assert names(piece.text) == ["Громов Анна Сергеевна"]
    assert "HX-Request" in piece.headers["Vary"]
    assert "<html" in client.get("/contacts?q=гром").text


def test_nobody_yet_and_nobody_found_are_different_pages(
    signed_in: SignedIn, session: Session
) -> None:
    client = signed_in("receptionist")
    assert "/contacts/new" in client.get("/contacts").text
    assert 'name="q"' not in client.get("/contacts").text
    a_contact(session)
    session.commit()
    nobody = client.get("/contacts?q=щука").text
    assert 'name="q"' in nobody
    assert 'value="щука"' in nobody


def test_what_people_wrote_never_becomes_markup(signed_in: SignedIn, session: Session) -> None:
    canary = "<img src=x onerror=alert(1)>"
    contact = a_contact(session, last_name=canary)
    contact.note = canary
    contact.source = f"form:{canary}"
    session.commit()
    client = signed_in("dpo")
    for way in (
        "/contacts",
        f"/contacts?q={canary}",
        f"/contacts/{contact.id}",
        f"/contacts/{contact.id}/edit",
        f"/audit?act={canary}&subject={canary}",
    ):
        answer = client.get(way)
        assert answer.status_code == 200
        assert "<img" not in answer.text
