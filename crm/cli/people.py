"""Filling the house: the demo, and members of staff."""

import click
from flask.cli import with_appcontext

from crm import clock
from crm.cli.sentences import Commands
from crm.current import settings
from crm.db import session
from crm.demo.load import SignIn, is_development, load
from crm.staff import service
from crm.staff.models import RoleName

KNOWN_TO_ALL = (
    "These passwords are known to everybody and are given out only because the clinic can be "
    "reached from this machine alone."
)
ONCE = "Note the passwords down: they are shown once."

staff = Commands("staff", help="Accounts of members of staff.")


@click.command()
@click.option("--site", metavar="ORIGIN", help="Of a page that may embed the demo's forms.")
@with_appcontext
def demo(site: str | None) -> None:
    """Load the demo clinic into an empty database; refuse where there is anything in it."""
    load_demo(site)
    say_where()


@staff.command("add")
@click.option("--email", prompt="E-mail", help="To sign in with.")
@click.option("--name", prompt="Name", help="As colleagues see it.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in RoleName]),
    help="Several are possible.",
)
@click.option("--password", help="Asked for if left out; empty there means: make one up.")
def add(email: str, name: str, roles: tuple[str, ...], password: str | None) -> None:
    """Add a member of staff; print the password if it was made up here."""
    if not roles:
        roles = (click.prompt("Role", type=click.Choice([role.value for role in RoleName])),)
    if password is None:
        password = click.prompt(
            "Password (empty: make one up)",
            default="",
            show_default=False,
            hide_input=True,
            confirmation_prompt=True,
        )
    made_up = password or service.first_password()
    service.add(
        session(),
        email=email,
        name=name.strip(),
        roles=[RoleName(role) for role in roles],
        password=made_up,
        at=clock.now(),
        by=None,
    )
    session().commit()
    click.echo("Added.")
    if not password:
        click.echo(f"Password, shown this once: {made_up}")


def load_demo(site: str | None) -> None:
    """Load the demo, commit, and print the sign-ins. Raises NotEmpty."""
    origins = [site] if site else []
    sign_ins = load(session(), origins=origins, settings=settings(), at=clock.now())
    session().commit()
    click.echo("The demo clinic is loaded: invented people, invented addresses.")
    _print(sign_ins)
    click.echo(KNOWN_TO_ALL if is_development(settings()) else ONCE)


def say_where() -> None:
    """Print where to look."""
    click.echo(f"Staff sign in at {settings().public_url}/login")


def _print(sign_ins: list[SignIn]) -> None:
    widths = [max(map(len, column)) for column in zip(*map(_cells, sign_ins), strict=True)]
    for one in sign_ins:
        line = "  ".join(cell.ljust(width) for cell, width in zip(_cells(one), widths, strict=True))
        click.echo(f"  {line.rstrip()}")


def _cells(one: SignIn) -> tuple[str, ...]:
    return (one.role.value, one.email, one.password, one.name)
