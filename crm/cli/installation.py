"""Releasing a held installation, and checking the journal beside the database."""

from collections import Counter

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from crm import clock
from crm.cli.sentences import Commands
from crm.current import settings
from crm.db import session
from crm.installation.release import release as let_go
from crm.installation.replay import Replayed, replay
from crm.safekeeping import reading
from crm.safekeeping.installation import verdict
from crm.safekeeping.reading import Fault
from crm.staff.models import Role, RoleName, Staff, StaffRole

journal = Commands("journal", help="The journal in the state folder.")


@click.command()
@click.option("--by", required=True, metavar="EMAIL", help="Who decides: an admin or the dpo.")
@click.option("--reason", required=True, help="Why this copy is the right one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def release(by: str, reason: str, yes: bool) -> None:
    """Let a restored, moved or copied installation send again; every other copy falls silent."""
    staff_id = _decider(by)
    hold = verdict(session(), settings(), at=clock.now())
    if hold is None:
        raise click.ClickException("This installation is not held: it sends already.")
    click.echo(hold.say % hold.values)
    _tell(replay(session(), settings()))
    session().rollback()  # nobody who refuses meanwhile may wait for the answer
    if not yes:
        click.confirm("Release it?", abort=True)
    done = replay(session(), settings())
    epoch = let_go(session(), settings(), done, by=staff_id, because=reason[:300], at=clock.now())
    session().commit()
    click.echo(f"Released: epoch {epoch}.")


@journal.command("verify")
def verify() -> None:
    """Read the whole journal; exit 1 and name the first line that is not as it was written."""
    faults: list[Fault] = []
    counts = Counter(record.kind for record in reading.records(settings(), faults))
    for kind in ("handing", "stop", "release"):
        click.echo(f"{kind}: {counts[kind]}")
    if faults:
        first = faults[0]
        raise click.ClickException(f"{first.file}, line {first.number} {first.what}.")
    click.echo("Every line is as it was written.")


def _decider(email: str) -> int:
    found = session().scalar(
        select(Staff.id)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .join(Role, Role.id == StaffRole.role_id)
        .where(
            Staff.email == email.strip().lower(),
            Staff.active,
            Role.name.in_([RoleName.ADMIN, RoleName.DPO]),
        )
    )
    if found is None:
        raise click.ClickException("--by names no active administrator and no dpo.")
    return found


def _tell(done: Replayed) -> None:
    lines = [
        f"Refusals done again: {done.stops}.",
        f"Mailings held, because letters left after the backup: {len(done.letters)} "
        f"({done.letters.total()} letters are not sent again).",
    ]
    if done.unknown:
        lines.append(
            f"Mailings that left and that the database does not know: {len(done.unknown)}. "
            "Before anybody writes the same again, see the relay's log."
        )
    if done.faults:
        lines.append(f"Lines of the journal that are not sound: {len(done.faults)}.")
    for line in lines:
        click.echo(line)
