"""What the tests of these pages share."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.contacts.models import Address, Contact, ContactAddress, Kind
from crm.db import db
from tests.factories import NOON, a_contact

ANNA = {
    "last_name": "Ковалёва",
    "first_name": "Анна",
    "patronymic": "Петровна",
    "category": "patient",
    "email": "Kovaleva@Mail.example",
    "phone": "8 (926) 304-25-51",
    "note": "",
    "source": "desk",
}


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the statements sent to the database by a request that finds nothing loaded."""
    db.session.expunge_all()
    sent: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def a_phone(session: Session, contact: Contact, value: str) -> Address:
    address = Address(kind=Kind.PHONE, value=value, display=value, created_at=NOON)
    session.add(address)
    session.flush()
    session.add(ContactAddress(contact_id=contact.id, address_id=address.id, added_at=NOON))
    session.flush()
    return address


def people(session: Session, how_many: int) -> list[Contact]:
    made = [a_contact(session, last_name=f"Петров{'а' * n}") for n in range(how_many)]
    session.commit()
    return made


def names(html: str) -> list[str]:
    """Return the people of a list, in the order shown."""
    return re.findall(r'href="/contacts/\d+">([^<]+)</a>', html)


def acts(session: Session) -> list[str]:
    return list(session.scalars(select(AuditEvent.act).order_by(AuditEvent.id)))


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
