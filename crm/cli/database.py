"""Making the database ready: setup, migrate, and comparing migrations with the models."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import click
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask.cli import with_appcontext
from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from crm import clock, migrations
from crm.cli.people import load_demo, say_where
from crm.current import settings
from crm.db import Base, session
from crm.demo.load import allow_origin, is_development, is_empty
from crm.safekeeping.installation import agree

FIRST_ADMIN = """\
The database is empty. Add the first administrator:
  flask --app wsgi crm staff add --role admin
then sign in at {url} and fill in the clinic's details."""


@click.command()
@click.option("--site", metavar="ORIGIN", help="Of the development site that embeds the forms.")
@with_appcontext
def setup(site: str | None) -> None:
    """Migrate; on a loopback address also fill an empty database with the demo.

    Running it again changes nothing that is there.
    """
    _migrate()
    url = settings().public_url
    if not is_development(settings()):
        if is_empty(session()):
            click.echo(FIRST_ADMIN.format(url=url))
        else:
            click.echo(f"Ready: {url}")
        return
    if is_empty(session()):
        load_demo(site)
    elif site:
        allow_origin(session(), site)
        session().commit()
    say_where()


@click.command()
@with_appcontext
def migrate() -> None:
    """Bring the database's schema up to this version."""
    _migrate()
    click.echo("The schema is up to date.")


@click.command("migrations-check")
@with_appcontext
def migrations_check() -> None:
    """Compare migrations with models, in a scratch database beside the one in DATABASE_URL."""
    with _scratch() as connection:
        migrations.migrate(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, Base.metadata)
    for difference in found:
        click.echo(_named(difference), err=True)
    if found:
        raise click.ClickException(
            f"Models and migrations differ in {len(found)} places: write a migration."
        )
    click.echo("The migrations make what the models say.")


def _migrate() -> None:
    migrations.migrate(session().connection())
    agree(session(), settings(), at=clock.now())
    session().commit()


@contextmanager
def _scratch() -> Iterator[Connection]:
    url = make_url(settings().database_url)
    name = f"scratch_{uuid.uuid4().hex}"
    with _engine(url, isolation_level="AUTOCOMMIT") as server, server.connect() as outside:
        try:
            outside.execute(text(f"CREATE DATABASE {name}"))
        except ProgrammingError as error:
            raise click.ClickException(
                "A scratch database cannot be created: the user of DATABASE_URL needs CREATEDB."
            ) from error
        try:
            with _engine(url.set(database=name)) as scratch, scratch.begin() as connection:
                yield connection
        finally:
            outside.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def _engine(url: URL, **options: str) -> Iterator[Engine]:
    engine = create_engine(url, **options)
    try:
        yield engine
    finally:
        engine.dispose()


def _named(difference: object) -> str:
    """Return one difference as Alembic names it: ``add_column appointments wish``."""
    parts = difference[0] if isinstance(difference, list) else difference
    if not isinstance(parts, tuple):
        return str(parts)
    return " ".join(str(getattr(part, "name", part)) for part in parts if part is not None)
