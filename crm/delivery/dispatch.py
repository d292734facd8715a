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

from crm.config import Settings
from crm.delivery import lease, pace, service
from crm.delivery.crossing import Crossing
from crm.delivery.errand import Errand, prepare
from crm.delivery.holding import Holding
from crm.delivery.lease import Fenced, Work
from crm.delivery.rules import WINDOW
from crm.delivery.states import Lane
from crm.delivery.window import Recipient
from crm.mail import smtp
from crm.mail.smtp import Line, Relay

log = logging.getLogger(__name__)
T = TypeVar("T")

REST_S = 5.0
LONGEST_REST_S = {Lane.BULK: 300.0, Lane.SERVICE: 30.0}
"""How long a sender leaves a relay alone that is away: twice as long each time, at most this."""
PACE_S = 0.1
"""How often an empty bucket is looked into."""
DATABASE_AWAY_S = 1.0
"""How often a database that went away is tried again, with the results in hand."""


@dataclass(slots=True, kw_only=True)
class Sender:
    """One sender process. ``stopping`` is asked between windows: an open window is finished.

    The session is on ``db.engine_of_a_sender``.
    """

    session: Session
    settings: Settings
    lane: Lane
    now: Callable[[], datetime]
    stopping: Callable[[], bool]
    size: int = WINDOW
    lines: list[Line] = field(init=False)
    rest_s: float = field(init=False, default=REST_S)
    rest_until: float = field(init=False, default=0.0)
    retries_first: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        relay = Relay.from_url(self.settings.smtp_url)
        self.lines = [Line(relay) for _ in range(self.size)]

    def work(self) -> bool:
        """Take one lease and work it off. Returns False where there was nothing to do."""
        if time.monotonic() < self.rest_until:
            return False
        try:
            work = self._take()
        except DBAPIError:
            self.session.rollback()
            log.warning("database away", extra={"lane": self.lane.value})
            return False
        if work is None:
            return False
        try:
            errand = self._insist(lambda: self._prepare(work))
            if errand is not None:
                self._run(Holding(errand=errand, lane=self.lane))
        except Fenced:
            # Somebody has buried this lease: what is known here is settled as uncertain there.
            self.session.rollback()
            log.warning("lease lost", extra={"fence": work.fence})
        return True

    def close(self) -> None:
        """Say goodbye to the relay."""
        smtp.close(self.lines)

    def _take(self) -> Work | None:
        """Retries and ranges take turns in coming first, so that neither starves the other."""
        self.retries_first = not self.retries_first
        for retries in (self.retries_first, not self.retries_first):
            work = (
                lease.take_retries(self.session, self.lane, at=self.now(), limit=self.size)
                if retries
                else lease.take_range(self.session, self.lane, at=self.now())
            )
            self.session.commit()
            if work is not None:
                return work
        return None

    def _prepare(self, work: Work) -> Errand | None:
        """Return the errand; a mailing whose letter cannot be printed at all is held instead."""
        try:
            errand = prepare(self.session, work, self.settings)
        except (ValueError, KeyError, TypeError):
            log.exception("mailing held", extra={"mailing_id": work.mailing_id})
            self.session.rollback()
            service.hold(self.session, work.mailing_id, "The letter cannot be printed.")
            lease.give_back(self.session, work.fence)
            self.session.commit()
            return None
        self.session.rollback()
        return errand

    def _run(self, holding: Holding) -> None:
        errand = holding.errand
        while recipients := self._intend(holding):
            crossing = Crossing(
                session=self.session,
                errand=errand,
                lines=self.lines,
                now=self.now,
                beat=lambda: self._beat(errand.work.fence),
            )
            crossing.run(recipients)
            holding.results += crossing.results.values()
            self._heed(crossing, errand.work)

    def _heed(self, crossing: Crossing, work: Work) -> None:
        """Rest from a relay that is away; hold a mailing that it refuses as a whole."""
        if crossing.relay_away:
            log.warning("relay away", extra={"lane": self.lane.value, "rest_s": self.rest_s})
            self.rest_until = time.monotonic() + self.rest_s
            self.rest_s = min(2 * self.rest_s, LONGEST_REST_S[self.lane])
        else:
            self.rest_s = REST_S
        if crossing.refused_as_a_whole is not None:
            log.warning("mailing held", extra={"mailing_id": work.mailing_id})
            service.hold(self.session, work.mailing_id, crossing.refused_as_a_whole)
            self.session.commit()

    def _intend(self, holding: Holding) -> list[Recipient]:
        """Settle what is known and take the next window; an empty one ends the lease."""
        while (limit := self._allowance(holding)) == 0 and not holding.exhausted:
            time.sleep(PACE_S)
        return self._insist(lambda: holding.advance(self.session, limit=limit, at=self.now()))

    def _insist(self, transaction: Callable[[], T]) -> T:
        """Run a transaction, again and again while the database is away.

        Results in hand are the only record of letters that have left. They are given up only with
        a lease that was buried meanwhile, or with the process.
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

    def _allowance(self, holding: Holding) -> int:
        if self.stopping() or time.monotonic() < self.rest_until:
            holding.exhausted = True
        if holding.exhausted or self.lane is Lane.SERVICE:
            return self.size
        return self._insist(self._paced)

    def _paced(self) -> int:
        allowed = pace.take(
            self.session,
            self.size,
            provider="other",
            mailing_id=0,
            lane=self.lane,
            at=self.now(),
        )
        self.session.commit()
        return allowed

    def _beat(self, fence: int) -> None:
        """Keep the lease while a relay is slow; a database that is away is no reason to give up."""
        try:
            lease.beat(self.session, [fence])
            self.session.commit()
        except DBAPIError:
            self.session.rollback()
