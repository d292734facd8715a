"""The strip on every page of the staff: why no letter may leave, where that is so."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from crm.config import Settings
from crm.operations.findings import Finding, barriers
from crm.operations.look import away_of, relays_of
from crm.safekeeping import installation, journal

REMEMBERED_S: Final = 5.0


class Alarm:
    """Looks once in a few seconds, whoever asks: each page of each person does."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._until_s = float("-inf")
        self._found: Finding | None = None

    def finding(self, session: Session, settings: Settings, *, at: datetime) -> Finding | None:
        """Return the gravest reason why no letter may leave; None where letters may."""
        if self._now_s() >= self._until_s:
            self._found = _look(session, settings, at=at)
            self._until_s = self._now_s() + REMEMBERED_S
        return self._found


def _look(session: Session, settings: Settings, *, at: datetime) -> Finding | None:
    relays = relays_of(session, settings)
    found = barriers(
        installation.verdict(session, settings, at=at),
        journal.of(settings).trouble(),
        has_relays=relays is not None,
        usable=sum(one.refusal is None for one in relays or ()),
        away=away_of(session, relays or (), at=at),
    )
    return next(found, None)
