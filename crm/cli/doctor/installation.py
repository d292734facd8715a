"""What stands around the product on this machine, and what the clinic has filled in."""

from collections.abc import Callable, Iterator
from contextlib import closing

from redis import Redis, RedisError
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from crm import clock, migrations
from crm.cli.doctor.lines import Line
from crm.clinic.service import details, missing
from crm.config import Settings
from crm.consent.service import current_texts
from crm.intake.rules import PROCESSING
from crm.mail.records import Finding, Mark
from crm.safekeeping import journal
from crm.safekeeping.installation import identity, verdict
from crm.staff.models import Role, RoleName, Staff, StaffRole

WAIT_S = 3.0
OLDEST_SERVER = 150_000
"""PostgreSQL 15, as ``server_version_num`` counts."""

Check = Callable[[Session, Settings], str]
"""Returns what is well; raises Unwell with what is not."""


class Unwell(Exception):  # noqa: N818 - what was found, not a fault of the check
    """A check found something; the message says what to do."""


def examine(session: Session, settings: Settings) -> Iterator[Line]:
    """Return a line for each check; a database that is away spoils none of the others."""
    for thing, check in CHECKS:
        yield Line(thing=thing, about="", finding=_finding(check, session, settings))


def _finding(check: Check, session: Session, settings: Settings) -> Finding:
    try:
        return Finding(Mark.OK, check(session, settings))
    except Unwell as found:
        return Finding(Mark.FAULT, str(found))
    except OperationalError:
        told = "the database does not answer"
    except ProgrammingError:
        told = "cannot be looked at before the schema is up to date"
    session.rollback()
    return Finding(Mark.FAULT, told)


def _address(_session: Session, settings: Settings) -> str:
    url = settings.public_url
    return f"{url}" if settings.secure else f"{url}, which only this machine can reach"


def _database(session: Session, _settings: Settings) -> str:
    row = session.execute(
        text("""
            SELECT current_setting('server_version_num')::int AS number,
                   current_setting('server_version') AS version,
                   current_setting('server_encoding') AS encoding,
                   lower('ЩЁ') = 'щё' AS lowers
        """)
    ).one()
    if row.encoding != "UTF8":
        raise Unwell(f"the encoding is {row.encoding}: create it with ENCODING 'UTF8'")
    if not row.lowers:
        raise Unwell(
            "the locale does not know Cyrillic: create it with LOCALE_PROVIDER builtin "
            "and BUILTIN_LOCALE 'C.UTF-8', or with ru_RU.UTF-8"
        )
    if row.number < OLDEST_SERVER:
        raise Unwell(f"PostgreSQL {row.version} is too old: 15 or newer is needed")
    return f"PostgreSQL {row.version}, UTF-8"


def _schema(session: Session, _settings: Settings) -> str:
    if migrations.pending(session.connection()):
        raise Unwell("older than this version: run `crm migrate`")
    return "up to date"


def _state(session: Session, settings: Settings) -> str:
    hold = verdict(session, settings, at=clock.now())
    if hold is not None:
        raise Unwell(hold.say % hold.values)
    trouble = journal.of(settings).trouble()
    if trouble is not None:
        raise Unwell(trouble)
    if identity(settings) is None:
        return "can be written; the worker will agree whose it is"
    return "belongs to this database and this machine, and can be written"


def _broker(_session: Session, settings: Settings) -> str:
    limits = {"socket_timeout": WAIT_S, "socket_connect_timeout": WAIT_S}
    try:
        with closing(Redis.from_url(settings.redis_url, **limits)) as broker:
            broker.ping()
    except RedisError:
        raise Unwell("does not answer: look at REDIS_URL") from None
    return "answers"


def _clinic(session: Session, _settings: Settings) -> str:
    lacking = missing(details(session))
    if lacking:
        raise Unwell(f"nothing can be sent until these are filled in: {', '.join(lacking)}")
    return "complete"


def _texts(session: Session, _settings: Settings) -> str:
    if not current_texts(session, [PROCESSING], lang="ru", at=clock.now()):
        raise Unwell(f"no text {PROCESSING!r} is in force: no form can be shown")
    return "in force"


def _admin(session: Session, _settings: Settings) -> str:
    found = session.scalar(
        select(Staff.id)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .join(Role, Role.id == StaffRole.role_id)
        .where(Role.name == RoleName.ADMIN, Staff.active)
        .limit(1)
    )
    if found is None:
        raise Unwell("nobody can administrate: run `crm staff add --role admin`")
    return "there is one"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("address", _address),
    ("database", _database),
    ("schema", _schema),
    ("state", _state),
    ("broker", _broker),
    ("clinic", _clinic),
    ("texts", _texts),
    ("admin", _admin),
)
