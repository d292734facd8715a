"""The dispatch engine: a sender chooses a relay, takes leases, and prints what they are for.

What happens to the letters in between is a voyage's (``voyage``).
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.delivery import lease, unprinted
from crm.delivery.aftermath import Aftermath
from crm.delivery.allowance import Allowance
from crm.delivery.crossing import Crossing
from crm.delivery.door import Door, Doors
from crm.delivery.errand import Errand, prepare
from crm.delivery.holding import Holding
from crm.delivery.insist import insist, try_once
from crm.delivery.lease import Fenced, Work
from crm.delivery.mishaps import Memory
from crm.delivery.rules import LINES, PATIENCE_S, SENDERS, WINDOW
from crm.delivery.states import Lane
from crm.delivery.vigil import Vigil
from crm.delivery.voyage import Voyage
from crm.mail.smtp import Fleet, Relay
from crm.relays import absence
from crm.relays.choice import Choice
from crm.relays.service import usable
from crm.safekeeping import installation, journal
from crm.straight import plan_anew

log = logging.getLogger(__name__)

LONGEST_REST_S = {Lane.BULK: 300.0, Lane.SERVICE: 30.0}
"""How long a sender leaves a relay alone that is away: twice as long each time, at most this."""
BARRED_S = 5.0
"""How long a sender waits for a journal that cannot be written."""
VIGILS = 100
"""Mailings whose replies a sender remembers; each service letter is a mailing of its own."""
FRESH_S = 15.0
"""How old declarations of relays may be, and keys that sign, that a sender goes by."""


@dataclass(slots=True, kw_only=True)
class Sender:
    """One sender process. ``stopping`` is asked all the time: what is under way is finished.

    The session is on ``db.engine_of_a_sender``.
    """

    session: Session
    settings: Settings
    lane: Lane
    now: Callable[[], datetime]
    stopping: Callable[[], bool]
    size: int = LINES
    """The most lines, where the relay takes as many."""
    choice: Choice = field(init=False)
    relay: Relay | None = field(init=False, default=None)
    crossing: Crossing | None = field(init=False, default=None)
    allowance: Allowance = field(init=False)
    door: Door = field(init=False, default_factory=Door)
    """Of ``relay``."""
    doors: Doors = field(init=False, default_factory=Doors)
    """Of the destinations behind it."""
    vigils: dict[int, Vigil] = field(init=False, default_factory=dict)
    """By mailing."""
    errands: dict[int, Errand] = field(init=False, default_factory=dict)
    """By mailing: the letter was frozen with it."""
    errands_fresh_until: float = field(init=False, default=0.0)
    retries_first: bool = field(init=False, default=True)
    barred_until: float = field(init=False, default=0.0)
    relays_fresh_until: float = field(init=False, default=0.0)
    memory: Memory = field(init=False)
    """Of mishaps."""
    good_news_at: float = field(init=False, default=0.0)
    """When it may be written down again that the relay answers."""

    def __post_init__(self) -> None:
        self.choice = Choice(
            relays=[], now_s=time.monotonic, longest_rest_s=LONGEST_REST_S[self.lane]
        )
        self.allowance = Allowance(now_s=time.monotonic)
        self.memory = Memory(now=self.now, now_s=time.monotonic)

    def work(self) -> bool:
        """Take leases and work them off until there are none; False if there was nothing to do."""
        crossing = self._board()
        if crossing is None or time.monotonic() < self.barred_until:
            return False
        first = self.take()
        if first is None:
            return False
        voyage = Voyage(
            session=self.session,
            crossing=crossing,
            allowance=self.allowance,
            journal=journal.of(self.settings),
            take=self.take,
            now=self.now,
            stopping=self.stopping,
            is_over=self._is_over,
            holdings=[first],
        )
        voyage.run()
        self.session.close()
        if voyage.is_stranded and self.relay is not None:
            rest_s = self.choice.away(self.relay)
            log.warning("relay away", extra={"lane": self.lane.value, "rest_s": rest_s})
        elif self.relay is not None:
            self.choice.back(self.relay)
        self._tell(crossing)
        self._tell_of_mishaps()
        if voyage.is_barred:
            self.barred_until = time.monotonic() + BARRED_S
        if voyage.is_broken:
            self.close()
        return voyage.has_taken

    def close(self) -> None:
        """Say goodbye to the relay."""
        if self.crossing is not None:
            self.crossing.fleet.close()
            self.crossing = None

    def take(self, but_not: Collection[str] = ()) -> Holding | None:
        """Take a lease and prepare its letters; None where there is nothing to do.

        ``but_not`` are providers to which we have as many letters under way as they like.
        """
        if self.stopping():
            return None
        work = try_once(self.session, lambda: self._lease(but_not), None)
        if work is None:
            return None
        errand = insist(self.session, lambda: self._errand(work), give_up=self.stopping)
        if errand is None:
            return None
        if self.lane is Lane.SERVICE or len(self.vigils) >= VIGILS:
            self.vigils.clear()
        vigil = self.vigils.setdefault(work.mailing_id, Vigil())
        aftermath = Aftermath(lane=self.lane, vigil=vigil, door=self.door, doors=self.doors)
        return Holding(work=work, errand=errand, lane=self.lane, aftermath=aftermath)

    def _is_over(self) -> bool:
        """Return whether a voyage is to take nothing more.

        We end, a better relay is back, or this one may be given no letters any more.
        """
        self._refresh()
        return self.stopping() or self.choice.current() != self.relay

    def _board(self) -> Crossing | None:
        """Return a crossing to the relay of choice, or None where there is none."""
        self._refresh()
        relay = self.choice.current()
        if relay is None:
            return None
        if relay != self.relay or self.crossing is None:
            self.close()
            size = max(1, min(self.size, relay.connections // SENDERS))
            fleet: Fleet[int] = Fleet(relay, size=size, patience_s=PATIENCE_S[self.lane])
            self.crossing = Crossing(session=self.session, fleet=fleet, size=size, now=self.now)
            if relay != self.relay:
                self.door, self.doors = Door(), Doors()
            self.relay = relay
            self.allowance.relay_host = relay.host
        return self.crossing

    def _refresh(self) -> None:
        """Read again which relays may be given letters."""
        if time.monotonic() >= self.relays_fresh_until:
            self.choice.offer(try_once(self.session, self._usable, self.choice.relays))
            self.relays_fresh_until = time.monotonic() + FRESH_S
            if self.crossing is not None:
                self._tell(self.crossing)
            self._tell_of_mishaps()

    def _tell(self, crossing: Crossing) -> None:
        """Write down for people what was found out of the relay; good news once in FRESH_S."""
        relay, silence, is_heard = self.relay, crossing.silence, crossing.is_heard
        crossing.silence, crossing.is_heard = None, False
        is_news = is_heard and time.monotonic() >= self.good_news_at
        if relay is None or not (silence or is_news):
            return
        self.good_news_at = 0.0 if silence else time.monotonic() + FRESH_S
        try_once(self.session, lambda: self._write_down(relay, silence, is_heard=is_heard), None)

    def _tell_of_mishaps(self) -> None:
        """Write down for people what befell this sender and is over."""
        self.memory.look_at_the_clock()
        if self.crossing is not None:
            self.memory.lost += self.crossing.lost
            self.crossing.lost = 0
        try_once(self.session, lambda: self.memory.write(self.session), None)

    def _write_down(self, relay: Relay, silence: str | None, *, is_heard: bool) -> None:
        if is_heard:
            absence.end(self.session, relay)
        if silence:
            absence.begin(self.session, relay, because=silence, at=self.now())
        self.session.commit()

    def _usable(self) -> Sequence[Relay]:
        plan_anew(self.session)
        relays = usable(self.session, self.settings)
        self.session.commit()
        return relays

    def _lease(self, but_not: Collection[str]) -> Work | None:
        """Retries and ranges take turns in coming first, so that neither starves the other."""
        at = self.now()
        held = installation.verdict(self.session, self.settings, at=at)
        if held is not None:
            self.session.commit()
            return None
        self.allowance.refresh(self.session, at=at)
        if self.allowance.is_quiet(self.lane, at=at):
            return None
        self.retries_first = not self.retries_first
        for retries in (self.retries_first, not self.retries_first):
            work = (
                lease.take_retries(self.session, self.lane, but_not, at=at, limit=WINDOW)
                if retries
                else lease.take_range(self.session, self.lane, but_not, at=at)
            )
            self.session.commit()
            if work is not None:
                return work
        return None

    def _errand(self, work: Work) -> Errand | None:
        """Return the errand; a letter that cannot be printed at all is set aside instead."""
        now = time.monotonic()
        if now >= self.errands_fresh_until:
            self.errands.clear()
            self.errands_fresh_until = now + FRESH_S
        known = self.errands.get(work.mailing_id)
        if known is not None:
            return known
        try:
            errand = prepare(self.session, work.mailing_id, self.settings)
        except DBAPIError:
            raise
        except Exception:
            # Whatever it is, it would meet every sender: a letter, a key or a file is broken.
            log.exception("letter not printed", extra={"mailing_id": work.mailing_id})
            self._set_aside(work)
            return None
        self.session.commit()
        self.errands[work.mailing_id] = errand
        return errand

    def _set_aside(self, work: Work) -> None:
        self.session.rollback()
        try:
            unprinted.set_aside(self.session, work, self.lane, at=self.now())
        except Fenced:
            # Buried meanwhile, or set aside already by a commit whose answer was lost.
            self.session.rollback()
        else:
            self.session.commit()
