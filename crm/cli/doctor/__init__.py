"""Whether this installation is well, and what a mailbox provider would dislike about it."""

import json
import ssl

import click
from flask.cli import with_appcontext

from crm import clock
from crm.cli.doctor.asking import Dns, resolver
from crm.cli.doctor.visit import Outside, examine
from crm.current import settings
from crm.db import session
from crm.mail.records import Mark


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array of all lines, for machines.")
@click.option("--offline", is_flag=True, help="Ask neither DNS nor the site from outside.")
@click.option(
    "--nameserver",
    metavar="HOST[:PORT]",
    help="Ask this name server instead of this machine's, to see what the world sees.",
)
@with_appcontext
def doctor(as_json: bool, offline: bool, nameserver: str | None) -> None:
    """Look at the installation, its relays and the senders' DNS; exit 1 for a fault.

    A line begins with ok, hint (letters arrive, something could be better), FAULT, or - (not
    looked at), and ends in what to do.
    """
    try:
        dns = None if offline else Dns(resolver=resolver(nameserver))
    except ValueError:
        raise click.BadParameter("write an address, such as 192.0.2.1 or 192.0.2.1:53") from None
    outside = Outside(dns=dns, tls=ssl.create_default_context(), at=clock.now())
    lines = []
    for line in examine(session(), settings(), outside):
        lines.append(line)
        if not as_json:
            click.echo(line.text)
    if as_json:
        click.echo(json.dumps([line.fields for line in lines], ensure_ascii=False, indent=2))
    faults = sum(line.finding.mark is Mark.FAULT for line in lines)
    if faults:
        raise click.ClickException(f"{faults} of {len(lines)} lines tell of a fault.")
