"""Whether this installation is well: its surroundings, and its books."""

import socket
from collections.abc import Callable
from contextlib import closing

import click
from flask.cli import with_appcontext
from redis import Redis, RedisError
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from crm import clock, migrations
from crm.clinic.service import details, missing
from crm.consent.service import current_texts
from crm.current import settings
from crm.db import session
from crm.delivery.books import unbalanced
from crm.intake.rules import PROCESSING
from crm.mail.smtp import Relay
from crm.staff.models import Role, RoleName, Staff, StaffRole

WAIT_S = 3.0
OLDEST_SERVER = 150_000
"""PostgreSQL 15, as ``server_version_num`` counts."""

Check = Callable[[Session], str]
"""Returns what is well; raises Unwell with what is not."""


class Unwell(Exception):  # noqa: N818 - what was found, not a fault of the check
    """A check found something; the message says what to do."""


@click.command()
@with_appcontext
def doctor() -> None:
    """Look at database, schema, broker, relay and the clinic's details; exit 1 if one is unwell."""
    unwell = 0
    for name, check in CHECKS:
        try:
            mark, words = "ok", check(session())
        except Unwell as found:
            mark, words = "FAULT", str(found)
            unwell += 1
        except OperationalError:
            mark, words = "FAULT", "the database does not answer"
            unwell += 1
            session().rollback()
        except ProgrammingError:
            mark, words = "FAULT", "cannot be looked at before the schema is up to date"
            unwell += 1
            session().rollback()
        click.echo(f"{mark:<6} {name:<10} {words}")
    if unwell:
        raise click.ClickException(f"{unwell} of {len(CHECKS)} checks found something.")


@click.command()
@with_appcontext
def reconcile() -> None:
    """Count every mailing from its rows; exit 1 where planned is not the sum of the states."""
    counted, wrong = unbalanced(session())
    for one in wrong:
        click.echo(
            f"mailing {one.mailing_id}: planned {one.planned}, deliveries {one.deliveries}, "
            f"queued {one.queued}, sending {one.sending}, ended {one.ended}: {one.what}",
            err=True,
        )
    if wrong:
        raise click.ClickException(f"{len(wrong)} of {counted} mailings do not add up.")
    click.echo(f"All {counted} mailings add up.")


def _address(_session: Session) -> str:
    url = settings().public_url
    return f"{url}" if settings().secure else f"{url}, which only this machine can reach"


def _database(session: Session) -> str:
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


def _schema(session: Session) -> str:
    if migrations.pending(session.connection()):
        raise Unwell("older than this version: run `crm migrate`")
    return "up to date"


def _broker(_session: Session) -> str:
    limits = {"socket_timeout": WAIT_S, "socket_connect_timeout": WAIT_S}
    try:
        with closing(Redis.from_url(settings().redis_url, **limits)) as broker:
            broker.ping()
    except RedisError:
        raise Unwell("does not answer: look at REDIS_URL") from None
    return "answers"


def _relay(_session: Session) -> str:
    try:
        relay = Relay.from_url(settings().smtp_url)
    except ValueError as fault:
        raise Unwell(str(fault)) from None
    try:
        with socket.create_connection((relay.host, relay.port), timeout=WAIT_S) as line:
            greeting = b"220" if relay.implicit_tls else line.recv(512)
    except OSError:
        raise Unwell("does not answer: look at SMTP_URL") from None
    if not greeting.startswith(b"220"):
        raise Unwell("answers, but takes no letters now")
    return "answers"


def _clinic(session: Session) -> str:
    lacking = missing(details(session))
    if lacking:
        raise Unwell(f"nothing can be sent until these are filled in: {', '.join(lacking)}")
    return "complete"


def _texts(session: Session) -> str:
    if not current_texts(session, [PROCESSING], lang="ru", at=clock.now()):
        raise Unwell(f"no text {PROCESSING!r} is in force: no form can be shown")
    return "in force"


def _admin(session: Session) -> str:
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
    ("broker", _broker),
    ("relay", _relay),
    ("clinic", _clinic),
    ("texts", _texts),
    ("admin", _admin),
)
