"""The loop of a sender: from leases to settled outcomes.

The one place in the house with its own transaction shape, because no transaction may be open while
we wait for a mail server, and because the look at consent and the dots it allows must share one:

    (a) intents      durable, fence-checked, with the results known so far    Holding.advance
        bodies       handed in, all but the final dot                         Crossing.turn
    (b) the gate     shared lock; then, in a later statement, the look;       Crossing.pass_gate
                     the dots, each with the next envelope behind it; commit
        replies      gathered, kept for the next (a)                          Crossing.turn

Letters of several leases are under way at once, so that neither the end of a range, nor a slow
answer, nor a provider's pace leaves lines idle.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.consent.tokens import suppression_tokens
from crm.delivery import lease
from crm.delivery.allowance import Allowance
from crm.delivery.crossing import Crossing
from crm.delivery.holding import Holding
from crm.delivery.insist import insist, try_once
from crm.delivery.lease import Fenced
from crm.delivery.rules import WINDOW
from crm.delivery.window import Recipient
from crm.safekeeping.handed import already_handed
from crm.safekeeping.journal import Journal, JournalAway

log = logging.getLogger(__name__)
T = TypeVar("T")

BEAT_S = 4.0
"""How often a sender that waits for a relay shows that it lives."""
LOOK_AGAIN_S = 0.2
"""How often one with letters under way asks for another lease where there was none."""
SETTLE_S = 1.0
"""How long a known result waits for company before it is written down."""
DRAIN_S = 8.0
"""How long one that was told to end waits for answers: an operator waits ten seconds."""
IDLE_S = 0.05
FEED_S = 0.05
"""How long more is taken before the wire is looked at again: of a window nobody may be left."""
HOLDINGS = 8
"""Leases at once, at most."""


@dataclass(eq=False, slots=True, kw_only=True)
class Voyage:
    """All that one sender has under way, until nothing is left."""

    session: Session
    crossing: Crossing
    allowance: Allowance
    journal: Journal
    take: Callable[[Collection[str]], Holding | None]
    now: Callable[[], datetime]
    stopping: Callable[[], bool]
    is_over: Callable[[], bool]
    """Both are asked all the time. When it is over nothing more is taken and what is under way is
    finished; when we are stopping, within DRAIN_S."""
    holdings: list[Holding]
    has_taken: bool = field(init=False, default=False)
    """There was a letter to send."""
    is_stranded: bool = field(init=False, default=False)
    """The relay is away."""
    is_barred: bool = field(init=False, default=False)
    """The journal cannot be written, so nothing more may leave."""
    is_broken: bool = field(init=False, default=False)
    """Something happened that nobody foresaw; all is accounted for."""
    _look_again_at: float = field(init=False, default=0.0)
    _beat_at: float = field(init=False, default=0.0)
    _settle_at: float = field(init=False, default=0.0)
    _drained_at: float | None = field(init=False, default=None)

    def run(self) -> None:
        """Go on until all leases have ended."""
        try:
            while self.holdings:
                self._step()
        except Exception as fault:
            if self.stopping() and isinstance(fault, DBAPIError):
                # Told to end while the database is away: a watcher will find the leases.
                raise
            log.exception("voyage broken")
            self.session.invalidate()
            self.is_broken = True
            self._give_up()

    def _step(self) -> None:
        fleet = self.crossing.fleet
        if self.is_over() or self.is_barred:
            self._unload()
        else:
            self._feed()
        has_moved = self.crossing.turn(wait_s=0.0 if fleet.ready else IDLE_S)
        ready = len(fleet.ready)
        if ready and (not has_moved or ready >= self.crossing.size // 2):
            self.crossing.pass_gate()
        if fleet.away:
            self.is_stranded = True
            self._unload()
        self._tend()
        self._mind_the_end()

    # --- taking on ---

    def _feed(self) -> None:
        """Keep letters waiting behind those under way, so that each dot takes an envelope along."""
        fleet, half = self.crossing.fleet, self.crossing.size // 2
        try_once(self.session, lambda: self.allowance.refresh(self.session, at=self.now()), None)
        self._hand_in()
        until = time.monotonic() + FEED_S
        while not self.is_barred and fleet.room > half and self._fetch():
            self._hand_in()
            if time.monotonic() > until:
                break

    def _hand_in(self) -> None:
        """Hand in what there is room for, at the relay and at each provider."""
        if self.is_barred:
            return
        for holding in self.holdings:
            bound = self.allowance.connections(holding.work.provider)
            free = bound - self.crossing.under_way(holding.work.provider)
            wanted = min(len(holding.supply), self.crossing.fleet.room, max(0, free))
            for _ in range(int(wanted)):
                self.crossing.hand_in(holding, holding.supply.popleft())

    def _fetch(self) -> bool:
        """Take another window, of a lease in hand or of a new one; return whether to go on."""
        for holding in self.holdings:
            if not (holding.exhausted or holding.supply):
                self._advance(holding, limit=min(WINDOW, 2 * self.crossing.size))
                return holding.has_taken or not holding.ended
        if len(self.holdings) >= HOLDINGS or time.monotonic() < self._look_again_at:
            return False
        another = self.take({one.work.provider for one in self.holdings if one.supply})
        if another is None:
            self._look_again_at = time.monotonic() + LOOK_AGAIN_S
            return False
        self.holdings.append(another)
        return True

    def _advance(self, holding: Holding, *, limit: int) -> None:
        try:
            recipients = self._insist(
                lambda: holding.advance(self.session, self.allowance, limit=limit, at=self.now())
            )
        except Fenced:
            self._lose(holding)
            return
        if recipients:
            self.has_taken = True
            self._load(holding, recipients)
        if holding.ended:
            self.holdings.remove(holding)
            if not holding.has_taken:
                # Nothing of it may leave now: do not ask for it again at once.
                self._look_again_at = time.monotonic() + LOOK_AGAIN_S

    def _load(self, holding: Holding, recipients: list[Recipient]) -> None:
        """Write the window into the journal outside the database, durably, before any body."""
        work, keys = holding.work, holding.errand.settings.suppression_keys
        for one in recipients:
            one.tokens = suppression_tokens(one.kind, one.value or "", keys=keys)
        if holding.errand.is_marked:
            recipients = self._without_handed(holding, recipients)
        if not recipients:
            return
        try:
            self.journal.handing(
                fence=work.fence,
                window_id=recipients[0].window_id,
                mailing_key=work.key,
                last_delivery_id=max(one.delivery_id for one in recipients),
                tokens=[one.tokens[0] for one in recipients],
                at=self.now(),
            )
        except JournalAway as fault:
            log.error("journal away", extra={"fault": type(fault).__name__})
            self.is_barred = True
        holding.supply.extend(recipients)

    def _without_handed(self, holding: Holding, recipients: list[Recipient]) -> list[Recipient]:
        """Settle as uncertain whose letter left before the database was restored."""
        mailing_id = holding.work.mailing_id
        tokens = [token for one in recipients for token in one.tokens]

        def look() -> set[bytes]:
            found = already_handed(self.session, mailing_id, tokens)
            self.session.rollback()
            return found

        handed = self._insist(look)
        left = [one for one in recipients if handed.isdisjoint(one.tokens)]
        for one in recipients:
            if one not in left:
                self.crossing.doubt(holding, one)
        return left

    def _insist(self, transaction: Callable[[], T]) -> T:
        return insist(self.session, transaction, give_up=self.stopping)

    # --- letting go ---

    def _unload(self) -> None:
        """Take nothing more, and queue again what was not handed in."""
        for holding in self.holdings:
            holding.exhausted = True
            while holding.supply:
                self.crossing.again(holding, holding.supply.popleft())

    def _mind_the_end(self) -> None:
        if not self.stopping():
            return
        if self._drained_at is None:
            self._drained_at = time.monotonic() + DRAIN_S
        elif time.monotonic() >= self._drained_at:
            self.crossing.give_up()

    def _give_up(self) -> None:
        """Account for everything in hand."""
        self._unload()
        self.crossing.give_up()
        for holding in list(self.holdings):
            self._advance(holding, limit=0)
        self.holdings.clear()

    def _lose(self, holding: Holding) -> None:
        """Forget a lease that somebody has buried: what is known here is settled there."""
        self.session.rollback()
        log.warning("lease lost", extra={"fence": holding.work.fence})
        self.crossing.abandon(holding)
        self.holdings.remove(holding)

    # --- keeping ---

    def _tend(self) -> None:
        """Write down what has waited, end what is over, and show that we live."""
        now = time.monotonic()
        is_time = now >= self._settle_at
        for holding in list(self.holdings):
            is_through = holding.exhausted and not holding.on_the_way
            if holding.is_fenced:
                self._lose(holding)
            elif is_through or (is_time and holding.results):
                self._advance(holding, limit=0)
        if is_time:
            self._settle_at = now + SETTLE_S
        if now >= self._beat_at:
            self._beat_at = now + BEAT_S
            self._beat()

    def _beat(self) -> None:
        """Keep the leases while a relay is slow; a database that is away does not lose them."""
        ours = {holding.work.fence for holding in self.holdings}
        held = try_once(self.session, lambda: lease.beat(self.session, ours), ours)
        for holding in list(self.holdings):
            if holding.work.fence not in held:
                self._lose(holding)
