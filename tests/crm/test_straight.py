"""Statements past the layers: one breath, one transaction, and what breaks it."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from crm.consent import gate
from crm.db import engine_of_a_sender
from crm.straight import Statement, array, finish, is_silent, locally, numbers, straight
from tests.conftest import NOON

COUNT: Statement = ("SELECT count(*) FROM notes", {})


def note(what: str) -> tuple[str, dict[str, str]]:
    return ("INSERT INTO notes VALUES (%(what)s)", {"what": what})


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = engine_of_a_sender(database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (what text PRIMARY KEY)"))
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE notes"))
    engine.dispose()


@pytest.fixture
def sender(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@pytest.fixture
def other(engine: Engine) -> Iterator[Session]:
    another = engine_of_a_sender(engine.url.render_as_string(hide_password=False))
    with Session(another) as session:
        yield session
    another.dispose()


def test_rows_come_back_statement_by_statement_as_python_has_them(sender: Session) -> None:
    values = {"at": NOON, "none": None, "one": b"\xff\x00", "many": array([b"\x00\xff"])}
    answers = straight(
        sender,
        (
            "SELECT 1, %(at)s::timestamptz, %(none)s::text, %(one)s::bytea, (%(many)s::bytea[])[1]",
            values,
        ),
        ("SELECT 2 WHERE false", {}),
    )
    assert answers == [[(1, NOON, None, b"\xff\x00", b"\x00\xff")], []]


def test_what_is_set_locally_ends_with_the_transaction(sender: Session) -> None:
    shown: Statement = (
        "SELECT current_setting('lock_timeout'), current_setting('synchronous_commit')",
        {},
    )
    before = straight(sender, shown, commit=True)
    limits = locally(lock_timeout=1200, synchronous_commit="off")
    assert straight(sender, limits, shown, commit=True)[1] == [("1200ms", "off")]
    assert straight(sender, shown) == before


def test_nothing_is_kept_before_it_is_finished(sender: Session, other: Session) -> None:
    straight(sender, note("kept"))
    assert straight(other, COUNT, commit=True) == [[(0,)]]
    finish(sender)
    assert straight(other, COUNT, commit=True) == [[(1,)]]


def test_a_transaction_that_is_rolled_back_leaves_nothing(sender: Session) -> None:
    straight(sender, note("lost"))
    sender.rollback()
    assert straight(sender, COUNT) == [[(0,)]]


def test_what_follows_a_refused_statement_is_not_run(sender: Session) -> None:
    with pytest.raises(OperationalError):
        straight(sender, note("one"), note("one"), note("two"), commit=True)
    sender.rollback()
    assert straight(sender, COUNT) == [[(0,)]]


def test_a_statement_that_cannot_be_prepared_breaks_nothing(sender: Session) -> None:
    with pytest.raises(OperationalError):
        straight(sender, ("SELECT nonsense", {}))
    sender.rollback()
    assert straight(sender, COUNT) == [[(0,)]]


def test_a_migration_outdates_one_answer_and_no_more(sender: Session, other: Session) -> None:
    kept: Statement = ("SELECT what FROM notes", {})
    straight(sender, note("kept"), kept, commit=True)
    other.execute(text("ALTER TABLE notes ALTER what TYPE varchar(40)"))
    other.commit()
    with pytest.raises(OperationalError):
        straight(sender, kept)
    sender.rollback()
    assert straight(sender, kept) == [[("kept",)]]


def test_a_look_behind_a_lock_in_one_breath_is_younger_than_the_lock(
    sender: Session, other: Session
) -> None:
    straight(sender, COUNT, commit=True)
    other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": gate.KEY})
    seen: list[object] = []
    looking = threading.Thread(
        target=lambda: seen.extend(straight(sender, (gate.ENTER, {}), COUNT)[1])
    )
    looking.start()
    looking.join(0.3)
    assert looking.is_alive()
    straight(other, note("while the other waits"))
    other.commit()
    looking.join(10)
    assert seen == [(1,)]


def test_a_server_that_has_ended_the_session_is_heard_and_left(
    sender: Session, other: Session
) -> None:
    [[(pid,)]] = straight(sender, ("SELECT pg_backend_pid()", {}))
    silent = is_silent(sender)
    assert silent()
    other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.commit()
    assert not silent()
    with pytest.raises(OperationalError):
        straight(sender, COUNT)
    sender.rollback()
    assert straight(sender, COUNT) == [[(0,)]]


def test_an_ordinary_session_may_use_it_and_roll_back(session: Session) -> None:
    for _ in range(12):  # until its driver prepares statements, and forgets all when rolled back
        assert session.scalar(text("SELECT 1")) == 1
        assert straight(session, ("SELECT %(n)s::int", {"n": 7})) == [[(7,)]]
        session.rollback()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_an_array_says_what_it_was_given(session: Session, texts: list[str | None]) -> None:
    [[(found,)]] = straight(session, ("SELECT %(texts)s::text[]", {"texts": array(texts)}))
    assert found == texts


def test_numbers_are_an_array_too(sender: Session) -> None:
    [[(found,)]] = straight(sender, ("SELECT %(ids)s::bigint[]", {"ids": numbers([1, -2, 2**40])}))
    assert found == [1, -2, 2**40]
