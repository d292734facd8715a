from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from crm.audit.service import note
from tests.crm.desk_support import counted
from tests.factories import NOON, a_member_of_staff

SignedIn = Callable[..., FlaskClient]


def lines(html: str) -> int:
    return html.partition("<tbody>")[2].count("<tr>")


def test_the_log_is_found_by_person_act_and_subject(signed_in: SignedIn, session: Session) -> None:
    maria = a_member_of_staff(session, "receptionist", name="Мария")
    pavel = a_member_of_staff(session, "marketer", name="Павел")
    note(session, "contact.viewed", at=NOON, actor_id=maria.id, subject="contact", subject_id=7)
    note(session, "contact.changed", at=NOON, actor_id=maria.id, subject="contact", subject_id=8)
    note(session, "campaign.approved", at=NOON, actor_id=pavel.id, subject="campaign", subject_id=7)
    note(session, "something.else", at=NOON, actor_id=None)
    session.commit()
    client = signed_in("dpo")
    assert lines(client.get("/audit").text) == 4
    assert "something.else" in client.get("/audit").text
    assert lines(client.get(f"/audit?actor_id={maria.id}").text) == 2
    assert lines(client.get("/audit?act=contact.viewed").text) == 1
    assert lines(client.get("/audit?act=contact.").text) == 2
    assert lines(client.get("/audit?subject_id=7").text) == 2
    assert lines(client.get("/audit?subject=contact&subject_id=7").text) == 1
    assert lines(client.get("/audit?subject_id=999").text) == 0


def test_pages_of_the_log_stand_still_while_it_grows(signed_in: SignedIn, session: Session) -> None:
    for number in range(120):
        note(session, "contact.viewed", at=NOON, actor_id=None, subject_id=number + 1)
        session.flush()
    session.commit()
    client = signed_in("admin")
    first = client.get("/audit").text
    older = first.partition('rel="next" href="')[2].partition('"')[0]
    before = client.get(older).text
    note(session, "contact.added", at=NOON, actor_id=None)
    session.commit()
    assert client.get(older).text.partition("<tbody>")[2] == before.partition("<tbody>")[2]
    assert lines(before) == 50


def test_a_nonsensical_filter_is_harmless(signed_in: SignedIn) -> None:
    client = signed_in("dpo")
    for query in ("actor_id=x", "actor_id=99999999999", "subject_id=-1", "act=%25", "after=9"):
        assert client.get(f"/audit?{query}").status_code == 200


def test_the_log_costs_as_many_queries_for_fifty_lines_as_for_five(
    signed_in: SignedIn, session: Session
) -> None:
    client = signed_in("dpo")
    note(session, "contact.viewed", at=NOON, actor_id=1, subject="contact", subject_id=1)
    session.commit()
    client.get("/audit")
    sizes = []
    for more in (5, 60):
        for _ in range(more):
            note(session, "contact.viewed", at=NOON, actor_id=1, subject="contact", subject_id=1)
        session.commit()
        with counted() as sent:
            client.get("/audit")
        sizes.append(len(sent))
    assert sizes[0] == sizes[1]
