"""The end of a request's session: no fault of the database there may spoil what was answered."""

from contextlib import suppress

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from crm.db import db, session


def init(app: Flask) -> None:
    """Let go of the session of every request of ``app``. Call this after ``db.init_app``.

    What is called last comes first: Flask-SQLAlchemy then finds nothing left to end.
    """
    app.teardown_appcontext(let_go)


def let_go(_fault: BaseException | None = None) -> None:
    """End the session of the request, over a connection that may have gone by now.

    Ending it rolls back, which is a word to the server: where that has gone meanwhile, the fault
    would make a 500 of an answer that is ready.
    """
    with suppress(SQLAlchemyError):
        db.session.remove()


def roll_back() -> None:
    """Roll the session back, also over a connection that has gone: the next word gets another."""
    with suppress(SQLAlchemyError):
        session().rollback()
