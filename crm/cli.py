"""The operator's commands: ``flask --app wsgi crm …``."""

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import Table

from crm import clock, migrations
from crm.audit import seal
from crm.audit.models import AuditEvent, Log
from crm.consent.models import ConsentEvent
from crm.db import Base, session

group = AppGroup("crm", help="Commands for the operator of this installation.")
ledger = AppGroup("ledger", help="The consent ledger and the audit log.")
group.add_command(ledger)

LOGS: dict[Log, Table] = {
    Log.AUDIT: Base.metadata.tables[AuditEvent.__tablename__],
    Log.CONSENT: Base.metadata.tables[ConsentEvent.__tablename__],
}


def init(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(group)


@group.command()
def migrate() -> None:
    """Bring the database's schema up to this version."""
    migrations.migrate(session().connection())
    session().commit()
    click.echo("The schema is up to date.")


@ledger.command("seal")
def seal_now() -> None:
    """Seal what is new, without waiting for the worker."""
    for log, table in LOGS.items():
        count = seal.seal(session(), log, table, at=clock.now())
        session().commit()
        click.echo(f"{log.value}: {count} sealed")


@ledger.command()
def verify() -> None:
    """Check every seal; exit 1 and name each fault where one does not hold."""
    faults = [fault for log, table in LOGS.items() for fault in seal.verify(session(), log, table)]
    for fault in faults:
        click.echo(f"{fault.log.value}, block {fault.block}: {fault.what}", err=True)
    if faults:
        raise SystemExit(1)
    click.echo("Every seal holds.")
