"""The logs are added to, never changed; and where they were changed all the same, it shows."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.audit import seal
from crm.audit.models import AuditEvent, Log, SealBlock, Unsealed
from crm.audit.service import note
from crm.consent.models import ConsentEvent
from crm.consent.rules import Act
from crm.db import Base, db
from tests.conftest import NOON
from tests.factories import an_email, an_event

AUDIT = Base.metadata.tables[AuditEvent.__tablename__]
CONSENT = Base.metadata.tables[ConsentEvent.__tablename__]


def some_events(session: Session, how_many: int = 5) -> None:
    for number in range(how_many):
        note(
            session,
            "contact.viewed",
            at=NOON + timedelta(seconds=number),
            actor_id=1,
            subject="contact",
            subject_id=number,
            count=number,
        )
    session.commit()


def tamper(session: Session, statement: str) -> None:
    """Change what the triggers protect, as somebody with the database's own rights could."""
    connection: Connection = session.connection()
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text(statement))
    session.commit()


@pytest.mark.parametrize("table", ["audit_events", "consent_events", "seal_blocks", "outcomes"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_database_itself_refuses_to_forget(session: Session, table: str, verb: str) -> None:
    with pytest.raises(DBAPIError, match="never changed"):
        session.execute(text(verb.format(table)))


def test_the_database_itself_refuses_to_change_a_fact(session: Session) -> None:
    an_event(session, Act.OPTED_OUT, an_email(session))
    session.commit()
    with pytest.raises(DBAPIError, match="never changed"):
        session.execute(update(ConsentEvent).values(act=Act.CONFIRMED))
    session.rollback()
    with pytest.raises(DBAPIError, match="never changed"):
        session.execute(delete(AuditEvent))


def test_what_was_sealed_holds(session: Session) -> None:
    some_events(session)
    assert seal.seal(session, Log.AUDIT, AUDIT, at=NOON) == 5
    session.commit()
    some_events(session, 3)
    assert seal.seal(session, Log.AUDIT, AUDIT, at=NOON) == 3
    session.commit()
    assert seal.seal(session, Log.AUDIT, AUDIT, at=NOON) == 0
    assert [block.number for block in session.scalars(select(SealBlock))] == [1, 2]
    assert seal.verify(session, Log.AUDIT, AUDIT) == []


def test_an_event_that_commits_late_with_a_lower_id_is_sealed_all_the_same(
    session: Session,
) -> None:
    with Session(db.engine) as slow:
        note(slow, "contact.viewed", at=NOON, actor_id=1)
        slow.flush()
        some_events(session, 2)
        assert seal.seal(session, Log.AUDIT, AUDIT, at=NOON) == 2
        session.commit()
        slow.commit()
    assert seal.seal(session, Log.AUDIT, AUDIT, at=NOON) == 1
    session.commit()
    assert seal.verify(session, Log.AUDIT, AUDIT) == []
    assert session.scalars(select(Unsealed)).all() == []


@pytest.mark.parametrize(
    "crime",
    [
        "UPDATE audit_events SET actor_id = 2 WHERE subject_id = 3",
        "UPDATE audit_events SET detail = '{}' WHERE subject_id = 3",
        "DELETE FROM audit_events WHERE subject_id = 3",
        "DELETE FROM seal_blocks WHERE number = 1",
        "UPDATE seal_blocks SET events = events - int8multirange(int8range(1, 2))",
        "INSERT INTO audit_events (at, act, detail) VALUES (now(), 'forged', '{}')",
    ],
)
def test_tampering_is_found(session: Session, crime: str) -> None:
    some_events(session)
    seal.seal(session, Log.AUDIT, AUDIT, at=NOON)
    session.commit()
    some_events(session)
    seal.seal(session, Log.AUDIT, AUDIT, at=NOON)
    session.commit()
    assert seal.verify(session, Log.AUDIT, AUDIT) == []
    tamper(session, crime)
    assert seal.verify(session, Log.AUDIT, AUDIT) != []


def test_an_event_waiting_for_its_seal_cannot_vanish_unseen(session: Session) -> None:
    some_events(session)
    tamper(session, "DELETE FROM audit_events WHERE subject_id = 3")
    assert seal.verify(session, Log.AUDIT, AUDIT) != []


def test_the_consent_ledger_is_sealed_by_the_same_chain(session: Session) -> None:
    an_event(session, Act.ASKED, an_email(session))
    session.commit()
    assert seal.seal(session, Log.CONSENT, CONSENT, at=NOON) == 1
    session.commit()
    assert seal.verify(session, Log.CONSENT, CONSENT) == []
    tamper(session, "UPDATE consent_events SET act = 'confirmed'")
    assert [fault.block for fault in seal.verify(session, Log.CONSENT, CONSENT)] == [1]
