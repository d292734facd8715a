"""Whether the books add up."""

import click
from flask.cli import with_appcontext

from crm.db import session
from crm.delivery.books import unbalanced


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
