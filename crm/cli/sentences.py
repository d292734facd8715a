"""Saying in one sentence why a command could not do its work."""

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from crm.errors import CrmError

AWAY = "The database cannot be reached: see that it runs, and that DATABASE_URL is right."
NO_SCHEMA = "The database does not have the tables of this version: run `crm migrate` first."
FAILED = "The database refused: {kind}."


class Commands(AppGroup):
    """A group whose commands fail with a sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a refusal becomes a sentence and exit 1."""
        try:
            return super().invoke(ctx)
        except CrmError as refusal:
            raise click.ClickException(refusal.say) from refusal
        except OperationalError as error:
            raise click.ClickException(AWAY) from error
        except ProgrammingError as error:
            raise click.ClickException(NO_SCHEMA) from error
        except DBAPIError as error:
            # The words of the database quote rows; the kind of the error does not.
            raise click.ClickException(FAILED.format(kind=type(error.orig).__name__)) from error
