"""What a sender does while the database is away."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
T = TypeVar("T")

AWAY_S = 1.0
"""How often it is tried again, with the results in hand."""
FAILED = "database has failed"
"""In ``Session.info``: since when (monotonic) its transactions failed; ``mishaps`` tells of it."""


def insist(session: Session, transaction: Callable[[], T], *, give_up: Callable[[], bool]) -> T:
    """Run a transaction, again and again while the database is away.

    Results in hand are the only record of letters that have left. They are given up only with a
    lease that was buried meanwhile, or with the process: ``give_up`` is asked after each failure.
    """
    while True:
        try:
            return transaction()
        except DBAPIError:
            _failed(session)
            if give_up():
                raise
            time.sleep(AWAY_S)


def try_once(session: Session, transaction: Callable[[], T], otherwise: T) -> T:
    """Run a transaction that may as well run later; return ``otherwise`` where it failed."""
    try:
        return transaction()
    except DBAPIError:
        _failed(session)
        return otherwise


def _failed(session: Session) -> None:
    session.rollback()
    session.info.setdefault(FAILED, time.monotonic())
    log.warning("database away")
