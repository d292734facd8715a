"""A clinic in an empty database that writes as durably as a real one, with nothing to slow it."""

import contextlib
import os
from collections.abc import Iterator
from datetime import time

from sqlalchemy import Connection, Engine, create_engine, delete, text
from sqlalchemy.orm import Session

from crm import clock, migrations
from crm.clinic.service import details
from crm.config import from_environ
from crm.delivery.pacing_models import ProviderManners
from crm.safekeeping import installation
from crm.staff.models import Staff
from devtools.terminal import working

DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
UNLIMITED = 0


@contextlib.contextmanager
def opened() -> Iterator[Engine]:
    """The database of DATABASE_URL with the schema and a clinic in it.

    Ends the benchmark with a sentence where it is not empty or does not write durably.
    """
    engine = create_engine(os.environ["DATABASE_URL"])
    with working("Making the schema"), engine.begin() as connection:
        _must_be_durable(connection)
        _must_be_empty(connection)
        migrations.migrate(connection)
    with Session(engine) as session:
        _set_up(session)
        session.commit()
        installation.agree(session, from_environ(), at=clock.now())
        session.commit()
    yield engine
    engine.dispose()


def cap(engine: Engine, *, a_month: int) -> None:
    """Let an address get one promotional letter a day and ``a_month``; 0 lifts both caps."""
    with Session(engine) as session:
        clinic = details(session)
        clinic.one_a_day, clinic.cap_per_month = a_month > 0, a_month
        session.commit()


def tidy(engine: Engine) -> None:
    """Do now what autovacuum would have done to a system that is not seconds old."""
    with working("Vacuuming"), engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def postmaster(engine: Engine) -> int:
    """Return the process that all of PostgreSQL's descend from; it has to run on this machine."""
    with engine.connect() as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
    try:
        with open(f"/proc/{backend}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        raise SystemExit("PostgreSQL runs elsewhere: its cost cannot be seen from here.") from None


def version(engine: Engine) -> str:
    """Return PostgreSQL's version, such as 18.1."""
    with engine.connect() as connection:
        return str(connection.scalar(text("SHOW server_version"))).split()[0]


def _must_be_durable(connection: Connection) -> None:
    for name in DURABLE:
        if connection.scalar(text(f"SHOW {name}")) != "on":
            raise SystemExit(f"PostgreSQL runs with {name} off: benchmarks write as clinics do.")


def _must_be_empty(connection: Connection) -> None:
    if connection.scalar(text("SELECT to_regclass('contacts')")) is not None:
        raise SystemExit("The database is in use: benchmarks begin with an empty one.")


def _set_up(session: Session) -> None:
    clinic = details(session)
    clinic.name = "Клиника «Север»"
    clinic.legal_name = "ООО «Север»"
    clinic.inn = "7899012340"
    clinic.postal_address = "190000, Санкт-Петербург, Речная ул., 12"
    clinic.phone = "+78120000000"
    clinic.email = "info@clinic.example"
    clinic.news_email = "news@clinic.example"
    clinic.service_email = "priem@clinic.example"
    clinic.site_url = "https://clinic.example"
    clinic.quiet_from = clinic.quiet_until = time(0)
    clinic.letters_per_minute = clinic.cap_per_month = UNLIMITED
    clinic.one_a_day = False
    session.execute(delete(ProviderManners))
    session.add(
        Staff(
            email="bench@clinic.example",
            name="Мария Сергеева",
            fs_uniquifier="bench",
            created_at=clock.now(),
        )
    )
    session.flush()
