"""The consent ledger and the audit log: sealing, checking, and deriving anew."""

import click

from crm import clock
from crm.audit import seal
from crm.cli.sentences import Commands
from crm.consent import refold
from crm.consent.refold import LOGS
from crm.db import session

ledger = Commands("ledger", help="The consent ledger and the audit log.")


@ledger.command("seal")
def seal_now() -> None:
    """Seal what is new, without waiting for the worker."""
    for log, table in LOGS.items():
        count = 0
        while sealed := seal.seal(session(), log, table, at=clock.now()):
            session().commit()
            count += sealed
        click.echo(f"{log.value}: {count} sealed")


@ledger.command()
def verify() -> None:
    """Check every seal and every piece of evidence; exit 1 and name what does not hold."""
    _look_at_one_moment()
    faults = [fault for log, table in LOGS.items() for fault in seal.verify(session(), log, table)]
    for fault in faults:
        click.echo(f"{fault.log.value}, block {fault.block}: {fault.what}", err=True)
    doubtful = refold.doubtful_evidence(session())
    if doubtful:
        click.echo(f"evidence that is not what its event was written with: {doubtful}", err=True)
    if faults or doubtful:
        raise click.ClickException("The logs are not as they were sealed.")
    click.echo("Every seal holds, and all evidence belongs to its event.")


@ledger.command()
@click.option("--check", is_flag=True, help="Only compare; change nothing.")
def rebuild(check: bool) -> None:
    """Derive every standing from the ledger anew; with --check only tell whether any differs."""
    if check:
        _look_at_one_moment()
        wrong = len(refold.differences(session()))
        if wrong:
            raise click.ClickException(f"Standings that differ from the ledger: {wrong}.")
        click.echo("Every standing is what the ledger makes of it.")
        return
    changed = refold.rebuild(session())
    session().commit()
    click.echo(f"Standings written anew: {changed}.")


def _look_at_one_moment() -> None:
    """Let all statements see the same rows: a fact recorded in between would look like a fault."""
    session().rollback()
    session().connection(execution_options={"isolation_level": "REPEATABLE READ"})
