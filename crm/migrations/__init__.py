"""The schema's history: Alembic, forward only, each step works with the version still running."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_HERE = Path(__file__).parent


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, bound to ``connection`` where one is given."""
    made = Config()
    made.set_main_option("script_location", str(_HERE))
    made.attributes["connection"] = connection
    return made


def migrate(connection: Connection) -> None:
    """Bring the schema up to the newest version, in the connection's transaction."""
    command.upgrade(config(connection), "head")


def pending(connection: Connection) -> bool:
    """Return whether the schema is older than this code."""
    current = MigrationContext.configure(connection).get_current_heads()
    return set(current) != set(ScriptDirectory.from_config(config()).get_heads())
