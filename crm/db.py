"""The database: one metadata, one session, aware UTC times in and out."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, Enum, LargeBinary, MetaData, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, Session

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

ENGINE_OPTIONS: dict[str, Any] = {
    "pool_pre_ping": True,
    "pool_size": 10,
    "pool_timeout": 2,
    "connect_args": {"connect_timeout": 2, "options": "-c timezone=UTC"},
}
"""A person waits two seconds at most to hear that the database is away (contract, POST /u)."""


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


db = SQLAlchemy(metadata=Base.metadata)


def session() -> Session:
    """Return the session of the current application context."""
    return db.session()
