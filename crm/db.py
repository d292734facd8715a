"""The database: one metadata, one session, aware UTC times in and out."""

import copy
import select
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    DateTime,
    Dialect,
    Engine,
    Enum,
    LargeBinary,
    MetaData,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, Session

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

ENGINE_OPTIONS: dict[str, Any] = {
    "pool_size": 10,
    "pool_timeout": 2,
    "hide_parameters": True,
    "connect_args": {
        "connect_timeout": 2,
        "options": "-c timezone=UTC",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 5000,
        "prepare_threshold": None,  # or a rollback would forget what ``straight`` prepared
    },
}
"""A person waits two seconds at most to hear that the database is away (contract, POST /u), a
connection to a host that vanished is given up after some ten, and no error quotes a value."""

STUCK_AFTER_MS = 5000
"""PostgreSQL takes its locks from a sender that stands still in a transaction."""
LASTS_MS = 10_000
"""No transaction of a sender lasts longer: it never waits for a mail server in one."""


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept as UTC. A naive one is a bug, so it is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime")
        return value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        aware: datetime | None = value
        return None if aware is None else aware.astimezone(UTC)


class Base(MappedAsDataclass, DeclarativeBase, eq=False, repr=False):
    """Base of every model: typed constructors, identity equality, and a silent repr."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this attribute as it is
        datetime: UTCDateTime(),
        bytes: LargeBinary(),
        dict[str, Any]: JSONB(),
        list[str]: JSONB(),
        # Stored by value in a plain VARCHAR: readable in psql, and a new member needs no ALTER.
        StrEnum: Enum(
            StrEnum,
            native_enum=False,
            length=32,
            validate_strings=True,
            create_constraint=False,
            values_callable=lambda members: [member.value for member in members],
        ),
    }

    def __repr__(self) -> str:
        # Models hold personal data and reprs reach logs: show the key, nothing else.
        return f"<{type(self).__name__} {getattr(self, 'id', '?')}>"


class Database(SQLAlchemy):
    """Flask's access to the database; none of its connections is used once the server left it."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Any) -> Engine:
        engine = super()._make_engine(bind_key, options, app)
        event.listen(engine, "checkout", _must_be_silent)
        return engine


def _must_be_silent(connection: Any, _record: object, _proxy: object) -> None:
    """Give up a connection that is heard while nobody asked: the server has taken its leave.

    It tells what a ping would, without a round trip: keepalive ends those to a vanished host.
    """
    ear = select.poll()
    if not connection.closed:
        ear.register(connection.fileno(), select.POLLIN)
    if connection.closed or ear.poll(0):
        raise DisconnectionError


db = Database(metadata=Base.metadata)


_BY_KEYS = (
    " -c plan_cache_mode=force_generic_plan -c jit=off"
    " -c enable_seqscan=off -c enable_bitmapscan=off"
    " -c enable_hashjoin=off -c enable_mergejoin=off"
)


def engine_of_a_sender(url: str) -> Engine:
    """Return an engine whose transactions PostgreSQL ends when they stand still.

    A sender that freezes in one would hold up everybody behind its locks. Its few statements are
    planned once, for keys and never for scans, whatever the statistics of a growing table say; and
    it does not look whether a connection lives: a sender tries again anyway.
    """
    options = copy.deepcopy(ENGINE_OPTIONS)
    arguments = options["connect_args"]
    arguments["options"] += f" -c idle_in_transaction_session_timeout={STUCK_AFTER_MS}" + _BY_KEYS
    arguments["application_name"] = "sender"
    options |= {"pool_size": 1, "max_overflow": 0}
    engine = create_engine(url, **options)
    event.listen(engine, "connect", _end_what_lasts)
    return engine


def _end_what_lasts(connection: Any, _record: object) -> None:
    """Bound a transaction as a whole: one that froze in mid-message is not "idle" to the server.

    PostgreSQL 17 and newer; before it such a freeze, a few microseconds wide, holds its locks.
    """
    if connection.info.server_version >= 170_000:
        connection.execute(f"SET transaction_timeout = {LASTS_MS}")
        connection.commit()


def session() -> Session:
    """Return the session of the current application context."""
    return db.session()
