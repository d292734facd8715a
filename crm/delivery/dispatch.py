"""The dispatch engine: one sender, from a lease to settled outcomes.

The one place in the house with its own transaction shape, because no transaction may be open while
we wait for a mail server, and because the look at consent and the dots it allows must share one:

    (a) intents      durable, fence-checked, with the results of the window before
        bodies       handed in, all but the final dot
    (b) the gate     shared lock; then, in a later statement, the look; the dots; commit
        replies      gathered, kept for the next (a)
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.config import Settings
from crm.delivery import lease, pace, window
from crm.delivery.crossing import Crossing
from crm.delivery.errand import Errand, prepare
from crm.delivery.lease import Fenced, Work
from crm.delivery.rules import WINDOW
from crm.delivery.states import Lane, MailingState
from crm.delivery.window import Recipient, Result
from crm.mail import smtp
from crm.mail.smtp import Line, Relay

log = logging.getLogger(__name__)
T = TypeVar("T")

REST_S = 5.0
"""How long a sender leaves a relay alone that is away or refuses us as a whole."""
PACE_S = 0.1
"""How often an empty bucket is looked into."""
DATABASE_AWAY_S = 1.0
"""How often a database that went away is tried again, with the results in hand."""


@dataclass(slots=True, kw_only=True)
class Sender:
    """One sender process. ``stopping`` is asked between windows: an open window is finished."""

    session: Session
    settings: Settings
    lane: Lane
    now: Callable[[], datetime]
    stopping: Callable[[], bool]
    size: int = WINDOW
    lines: list[Line] = field(init=False)
    results: list[Result] = field(init=False, default_factory=list)
    """Known, and not yet written down."""
    rest_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        relay = Relay.from_url(self.settings.smtp_url)
        self.lines = [Line(relay) for _ in range(self.size)]

    def work(self) -> bool:
        """Take one lease and work it off. Returns False where there was nothing to do."""
        if time.monotonic() < self.rest_until:
            return False
        work = lease.take(self.session, self.lane, at=self.now(), retries=self.size)
        self.session.commit()
        if work is None:
            return False
        try:
            self._run(prepare(self.session, work, self.settings))
        except Fenced:
            # Somebody has buried this lease: what is known here is settled as uncertain there.
            self.session.rollback()
            self.results.clear()
            log.warning("lease lost", extra={"fence": work.fence})
        return True

    def close(self) -> None:
        """Say goodbye to the relay."""
        smtp.close(self.lines)

    def _run(self, errand: Errand) -> None:
        self.session.rollback()
        while recipients := self._intend(errand.work):
            crossing = Crossing(
                session=self.session,
                errand=errand,
                lines=self.lines,
                now=self.now,
                beat=lambda: self._beat(errand.work.fence),
            )
            crossing.run(recipients)
            self.results += crossing.results
            if crossing.relay_away:
                self.rest_until = time.monotonic() + REST_S
                log.warning("relay away", extra={"lane": self.lane.value})

    def _intend(self, work: Work) -> list[Recipient]:
        """Settle what is known and take the next window; an empty one ends the lease."""
        while True:
            recipients = self._insistently(lambda: self._transaction_a(work))
            if recipients is not None:
                return recipients
            time.sleep(PACE_S)

    def _transaction_a(self, work: Work) -> list[Recipient] | None:
        """Return the next window, an empty one at the end, None while the pace allows none."""
        session = self.session
        state = window.begin(session, work)
        window.settle(session, work, self.lane, self.results)
        recipients: list[Recipient] | None = []
        if state is MailingState.RUNNING and not self._must_leave():
            allowed = self._allowance()
            recipients = (
                window.intend(session, work, limit=allowed, at=self.now()) if allowed else None
            )
        if recipients == []:
            lease.give_back(session, work.fence)
        session.commit()
        self.results.clear()
        return recipients

    def _allowance(self) -> int:
        if self.lane is Lane.SERVICE:
            return self.size
        per_minute = details(self.session).letters_per_minute
        return pace.take(self.session, self.size, per_minute=per_minute, at=self.now())

    def _must_leave(self) -> bool:
        return self.stopping() or time.monotonic() < self.rest_until

    def _beat(self, fence: int) -> None:
        """Keep the lease while a relay is slow; a database that is away is no reason to give up."""
        try:
            lease.beat(self.session, fence)
            self.session.commit()
        except DBAPIError:
            self.session.rollback()

    def _insistently(self, transaction: Callable[[], T]) -> T:
        """Run a transaction, again and again while the database is away.

        Results in hand are the only record of letters that have left, so they are not given up
        but for a lease that was buried meanwhile, or an end of the process.
        """
        while True:
            try:
                return transaction()
            except DBAPIError:
                self.session.rollback()
                log.warning("database away", extra={"lane": self.lane.value})
                if self.stopping():
                    raise
                time.sleep(DATABASE_AWAY_S)
