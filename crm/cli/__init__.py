"""The operator's commands: ``flask --app wsgi crm …``.

Each exits 0 only where it did, or verified, what it says; whatever keeps it from that is one
sentence on stderr and exit 1.
"""

from flask import Flask

from crm.cli import books, database, doctor, installation, ledgers, people, signing
from crm.cli.sentences import Commands

group = Commands("crm", help="Commands for the operator of this installation.")
group.add_command(database.setup)
group.add_command(database.migrate)
group.add_command(database.migrations_check)
group.add_command(people.demo)
group.add_command(people.staff)
group.add_command(ledgers.ledger)
group.add_command(signing.dkim)
group.add_command(installation.release)
group.add_command(installation.journal)
group.add_command(doctor.doctor)
group.add_command(books.reconcile)


def init(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(group)
