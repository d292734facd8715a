"""People who want the clinic's letters, by the hundred thousand, through COPY."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from psycopg import Cursor
from sqlalchemy import Engine

from bench.rig.clinic import tidy
from crm import clock
from devtools.terminal import working

NAMES = ("Мария", "Анна", "Иван", "Екатерина", "Пётр", "Александра", "Ольга")
PROVIDERS = ("gmail", "mailru", "yandex", "other", "mailru", "yandex", "mailru", "other")
"""Three in eight at Mail.ru, and so on."""
ASKED_BEFORE = timedelta(days=90)

CONTACTS = (
    "COPY contacts (id, last_name, first_name, patronymic, category, source, note, created_at)"
    " FROM STDIN"
)
ADDRESSES = "COPY addresses (id, kind, value, display, provider, created_at) FROM STDIN"
LINKS = "COPY contact_addresses (contact_id, address_id, added_at) FROM STDIN"
STANDINGS = "COPY standings (address_id, purpose, channel, asked_at, confirmed_at) FROM STDIN"
SEARCHES = ("ix_contacts_search", "ix_addresses_search")
"""Indexes for people's eyes: made after the load, as a restore would."""


def load(engine: Engine, how_many: int) -> None:
    """Write ``how_many`` willing contacts, one address each, numbered from 1."""
    at = clock.now() - ASKED_BEFORE
    numbers = range(1, how_many + 1)
    with working(f"Loading {how_many:,} people"), engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        with raw.cursor() as cursor:
            made_again = [_dropped(cursor, index) for index in SEARCHES]
            _copy(cursor, CONTACTS, (_contact(number, at) for number in numbers))
            _copy(cursor, ADDRESSES, (_address(number, at) for number in numbers))
            _copy(cursor, LINKS, ((number, number, at) for number in numbers))
            _copy(cursor, STANDINGS, ((n, "marketing", "email", at, at) for n in numbers))
            for table in ("contacts", "addresses"):
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {how_many})"
                )
            for statement in made_again:
                cursor.execute(statement)
        raw.commit()
    tidy(engine)


def address_of(number: int) -> str:
    """Return the e-mail address of a contact that ``load`` wrote."""
    return f"person{number}@mail.example"


def _contact(number: int, at: datetime) -> tuple[Any, ...]:
    first_name = NAMES[number % len(NAMES)]
    return number, f"Иванова{number}", first_name, "Сергеевна", "site_user", "form:site", "", at


def _address(number: int, at: datetime) -> tuple[Any, ...]:
    value = address_of(number)
    return number, "email", value, value, PROVIDERS[number % len(PROVIDERS)], at


def _copy(cursor: Cursor[Any], statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _dropped(cursor: Cursor[Any], index: str) -> Any:
    """Drop an index; return what makes it again."""
    found = cursor.execute("SELECT pg_get_indexdef(%s::regclass)", [index]).fetchone()
    cursor.execute(f"DROP INDEX {index}")
    assert found is not None
    return found[0]
