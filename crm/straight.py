"""The few statements of every window and of every stop, past all the layers above the driver.

What is asked for at once goes to PostgreSQL in one breath (libpq's pipeline mode) and comes back
in one, prepared once per connection: the layers, the round trips and the planning would cost more
than the database's own work.
"""

import re
import select
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg.abc import Transformer as Loader
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

Driver = psycopg.Connection[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]
Statement = tuple[str, Mapping[str, Any]]
"""``%(name)s`` stands for a value, which travels as text: cast what the context does not type."""

_BEGIN: Final[Statement] = ("BEGIN", {})
_COMMIT: Final[Statement] = ("COMMIT", {})
_PLACE = re.compile(r"%\((\w+)\)s")
_PREPARED: WeakKeyDictionary[Driver, dict[str, bytes]] = WeakKeyDictionary()
"""By connection, the names of the statements that it knows."""
_OUTDATED: Final = b"0A000"
"""What a migration makes of statements prepared before it: only a new connection helps."""
_FAILED = {ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE}


def straight(session: Session, *statements: Statement, commit: bool = False) -> list[Rows]:
    """Run statements in the session's transaction in one round trip; return the rows of each.

    Each sees what was committed before it began, and is not run once one before it has failed.

    Args:
        session: flushed. What it has loaded stays as it is.
        statements: in their order.
        commit: end the transaction with them.

    Raises:
        OperationalError: whatever the fault; a connection that is gone or outdated is given up.

    """
    link = session.connection()
    driver = cast("Driver", link.connection.driver_connection)
    is_idle = driver.pgconn.transaction_status == TransactionStatus.IDLE
    begin, end = [_BEGIN] * is_idle, [_COMMIT] * commit
    is_whole = False
    try:
        found = _in_one_breath(driver, [*begin, *statements, *end])
        is_whole = True
    except _Refused as fault:
        is_whole = fault.result.error_field(DiagnosticField.SQLSTATE) != _OUTDATED
        error = psycopg.errors.error_from_result(fault.result)
        raise OperationalError(None, None, error, hide_parameters=True) from error
    except psycopg.Error as fault:
        raise OperationalError(None, None, fault, hide_parameters=True) from fault
    finally:
        if not is_whole or driver.closed:
            link.invalidate()  # nobody knows what it would say next
    return found[len(begin) : len(begin) + len(statements)]


def finish(session: Session) -> None:
    """Commit; objects that the session has loaded stay as they are. Raises OperationalError."""
    session.flush()
    straight(session, commit=True)


def locally(**settings: int | str) -> Statement:
    """Return what sets these, by PostgreSQL's names (times in ms), for this transaction alone."""
    said = [f"set_config('{name}', %({name})s, true)" for name in settings]
    return f"SELECT {', '.join(said)}", settings


def plan_anew(session: Session) -> None:
    """Let PostgreSQL forget the session's plans: tables have grown since they were made."""
    straight(session, ("DISCARD PLANS", {}))


def array(values: Iterable[object]) -> str:
    """Return a PostgreSQL array literal of numbers, texts, moments, octets or None; cast it.

    A window's columns cost a tenth of what the driver's own lists do.
    """
    known: dict[object, str] = {None: "NULL"}
    return "{" + ",".join([known.get(one) or _element(one, known) for one in values]) + "}"


def numbers(values: Iterable[int]) -> str:
    """Return ``array`` of whole numbers, of which none lacks."""
    return "{" + ",".join(map(str, values)) + "}"


def is_silent(session: Session) -> Callable[[], bool]:
    """Return what tells whether the server has said nothing since its last answer.

    Between two statements it speaks only to take its leave: it has ended this session, and with it
    the locks. Asking costs no round trip.
    """
    driver = cast("Driver", session.connection().connection.driver_connection)
    ear = select.poll()
    ear.register(driver.fileno(), select.POLLIN)
    return lambda: not ear.poll(0)


class _Refused(Exception):  # noqa: N818 - what PostgreSQL did
    """A statement has failed; the connection is as good as before."""

    def __init__(self, result: PGresult) -> None:
        super().__init__()
        self.result = result


def _in_one_breath(driver: Driver, statements: Sequence[Statement]) -> list[Rows]:
    """Raises: _Refused, psycopg.Error."""
    wire = driver.pgconn
    says = [_prepared(driver, *one) for one in statements]
    wire.enter_pipeline_mode()
    for say in says:
        say()
    wire.pipeline_sync()
    answers = _answers(wire)
    wire.exit_pipeline_mode()
    loader: Loader = Transformer(driver)
    return [_rows(loader, answer) for answer in answers]


def _answers(wire: PGconn) -> list[PGresult]:
    """Return all answers up to the end of the breath. Raises: _Refused, psycopg.Error."""
    answers: list[PGresult] = []
    ear = select.poll()
    ear.register(wire.socket, select.POLLIN)
    while wire.flush():
        select.select((wire.socket,), (wire.socket,), ())
        wire.consume_input()
    while True:
        while wire.is_busy():
            ear.poll()
            wire.consume_input()
        answer = wire.get_result()
        if answer is not None and answer.status == ExecStatus.PIPELINE_SYNC:
            return answers
        if answer is not None:
            answers.append(answer)
        elif wire.status == ConnStatus.BAD:
            raise psycopg.OperationalError("the connection is gone")


def _rows(loader: Loader, answer: PGresult) -> Rows:
    if answer.status in _FAILED:
        raise _Refused(answer)
    loader.set_pgresult(answer)
    return loader.load_rows(0, answer.ntuples, tuple)


def _prepared(driver: Driver, sql: str, values: Mapping[str, Any]) -> Callable[[], None]:
    """Return what says a statement, prepared where the connection forgets nothing."""
    octets, names = _numbered(sql)
    told = [None if (value := values[name]) is None else _told(value) for name in names]
    if driver.prepare_threshold is not None:
        return partial(driver.pgconn.send_query_params, octets, told)
    known = _PREPARED.setdefault(driver, {})
    name = known.get(sql)
    if name is None:
        name = b"straight%d" % len(known)
        answer = driver.pgconn.prepare(name, octets)
        if answer.status in _FAILED:
            raise _Refused(answer)
        known[sql] = name
    return partial(driver.pgconn.send_query_prepared, name, told)


@lru_cache(maxsize=256)
def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a statement as PostgreSQL takes it, and the names of its values in their order."""
    names = tuple(dict.fromkeys(_PLACE.findall(sql)))
    return _PLACE.sub(lambda place: f"${names.index(place[1]) + 1}", sql).encode(), names


def _told(value: object) -> bytes:
    return (f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)).encode()


def _element(value: object, known: dict[object, str]) -> str:
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    said = str(value)
    if not isinstance(value, int):
        said = '"' + said.replace("\\", "\\\\").replace('"', '\\"') + '"'
    known[value] = said
    return said
