"""The way of letters over the wire: handed in, held before their dots, let through the gate, ended.

A letter is dispatched by its final dot: until CRLF.CRLF a server must discard what it has got
(RFC 5321 4.1.1.4). So its envelope goes ahead, a large body too, and the dot waits for the look at
consent.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.consent import gate
from crm.consent.rules import Reason, refusal
from crm.delivery import look
from crm.delivery.holding import Holding
from crm.delivery.insist import FAILED
from crm.delivery.look import Look
from crm.delivery.rules import AFTER_LOSS, LOOK_S
from crm.delivery.states import DeliveryState, MailingState
from crm.delivery.window import Recipient, Result
from crm.mail.smtp import Fleet, Kind, Verdict
from crm.straight import is_silent, straight

log = logging.getLogger(__name__)

_ANSWERS = frozenset({Kind.ACCEPTED, Kind.LATER, Kind.REJECTED})


class GateLost(Exception):  # noqa: N818 - it is what happened to the sender
    """The server has ended the session, and with it the lock that kept stops waiting."""


@dataclass(eq=False, slots=True)
class Aboard:
    """A letter that the fleet has."""

    holding: Holding
    one: Recipient
    is_dotted: bool = False
    event_id: int | None = None
    """The ledger event that allowed its dot."""
    turn: int | None = None
    """Which stops had passed the gate when its dot was written (``gate.TURN``)."""


@dataclass(eq=False, slots=True, kw_only=True)
class Crossing:
    """One sender's letters under way. Each ends as a result of its holding, come what may."""

    session: Session
    fleet: Fleet[int]
    size: int
    """How many lines the fleet may have."""
    now: Callable[[], datetime]
    at: datetime = field(init=False)
    """Now, to within a turn."""
    aboard: dict[int, Aboard] = field(init=False, default_factory=dict)
    """By delivery."""
    is_heard: bool = field(init=False, default=False)
    """The relay has answered about a letter, since this was last put out."""
    lost: int = field(init=False, default=0)
    """Letters whose line was lost before their dot, since this was last put out."""
    silence: str | None = field(init=False, default=None)
    """Why no line to the relay could be opened, since this was last put out."""
    _under_way: Counter[str] = field(init=False, default_factory=Counter)
    """By provider."""

    def __post_init__(self) -> None:
        self.at = self.now()

    def hand_in(self, holding: Holding, one: Recipient) -> None:
        """Print a letter and give it to the fleet, which has room."""
        if one.value is None:
            self._end(holding, one, DeliveryState.WITHHELD, reason=Reason.DESTROYED)
            return
        try:
            letter = holding.errand.letter(
                one, one.value, at=self.at, eight_bit=self.fleet.eight_bit
            )
        except ValueError as fault:
            log.warning("letter not printed", extra={"delivery_id": one.delivery_id})
            reply = f"{type(fault).__name__}: {fault}"
            self._end(holding, one, DeliveryState.FAILED, reply=reply)
            return
        before = self.aboard.get(one.delivery_id)
        if before is not None:
            # A service letter whose lease was buried in our own hands, before we have noticed.
            before.holding.is_fenced = True
            self.abandon(before.holding)
        self.aboard[one.delivery_id] = Aboard(holding, one)
        self._under_way[holding.work.provider] += 1
        self.fleet.hand_in(one.delivery_id, letter)

    def under_way(self, provider: str) -> int:
        """Return how many letters to a provider the fleet has."""
        return self._under_way[provider]

    def turn(self, *, wait_s: float) -> bool:
        """Let the fleet go on and take in what has ended; return whether anything happened."""
        has_moved = self.fleet.turn(wait_s=wait_s)
        self.at = self.now()
        self._take_in()
        return has_moved

    def pass_gate(self) -> None:
        """Do transaction (b): the lock; then, in a later statement, the look; then the dots."""
        waiting = [self.aboard[key] for key in self.fleet.ready]
        try:
            looks = look.enter_and_look(
                self.session, [(each.holding.work.fence, each.one) for each in waiting]
            )
            looked = time.monotonic()
            stands = is_silent(self.session)
            for each in waiting:
                if not stands():
                    raise GateLost
                self._pass_one(each, looks.get(each.one.delivery_id), looked)
            [[(turn,)]] = straight(self.session, (gate.TURN, {}), commit=True)
            for each in waiting:
                each.turn = turn if each.is_dotted else None
        except (DBAPIError, GateLost):
            # The gate may be gone: not one more dot. What was dotted before still has an answer.
            self.session.invalidate()
            self.session.info.setdefault(FAILED, time.monotonic())
            log.warning("gate lost")
            self._take_in()
            for each in waiting:
                if each.one.delivery_id in self.aboard and not each.is_dotted:
                    self.take_back(each)

    def take_back(self, each: Aboard, *, after: timedelta = timedelta(0)) -> None:
        """Queue a letter again whose dot is not written."""
        self._drop(each)
        self.again(each.holding, each.one, after=after)

    def again(
        self,
        holding: Holding,
        one: Recipient,
        *,
        after: timedelta = timedelta(0),
        reply: str | None = None,
    ) -> None:
        """Queue again: the letter was not to blame, so this was no try of it."""
        retry_at = self.at + after
        self._end(
            holding, one, DeliveryState.QUEUED, retry_at=retry_at, reply=reply, tries=one.tries - 1
        )

    def doubt(self, holding: Holding, one: Recipient) -> None:
        """Settle a letter that may have left already, before anybody here knew of it."""
        self._end(holding, one, DeliveryState.UNCERTAIN)

    def give_up(self) -> None:
        """Take back all that has no dot; what has one and no answer becomes uncertain."""
        for each in list(self.aboard.values()):
            if each.is_dotted:
                self.fleet.drop(each.one.delivery_id)
            else:
                self.take_back(each, after=AFTER_LOSS)
        self._take_in()

    def abandon(self, holding: Holding) -> None:
        """Forget the letters of a buried lease: whoever buried it has settled them."""
        for each in [each for each in self.aboard.values() if each.holding is holding]:
            self._drop(each)
        self._take_in()  # what ends by it must not be taken for an end of the same letter later

    def _take_in(self) -> None:
        for key, verdict in self.fleet.ended():
            each = self.aboard.pop(key, None)
            if each is not None:
                self._under_way[each.holding.work.provider] -= 1
                self._conclude(each, verdict)

    def _pass_one(self, each: Aboard, seen: Look | None, looked: float) -> None:
        """Write the dot if it may be written; settle the recipient if not."""
        if seen is None:
            self._withhold(each, Reason.DESTROYED, None)
        elif seen.fenced:
            each.holding.is_fenced = True
            self._drop(each)
        elif seen.mailing in (MailingState.STOPPED, MailingState.FINISHED):
            self._withhold(each, Reason.STOPPED, None)
        elif reason := refusal(each.holding.errand.purpose, seen.standing, seen.bars, at=self.at):
            self._withhold(each, reason, seen.stop_event_id)
        elif seen.mailing is not MailingState.RUNNING or time.monotonic() - looked > LOOK_S:
            self.take_back(each)
        else:
            # Where the fleet cannot write it, a verdict follows.
            each.is_dotted = self.fleet.dot(each.one.delivery_id)
            each.event_id = seen.grant_event_id

    def _withhold(self, each: Aboard, reason: Reason, event_id: int | None) -> None:
        self._drop(each)
        self._end(each.holding, each.one, DeliveryState.WITHHELD, reason=reason, event_id=event_id)

    def _drop(self, each: Aboard) -> None:
        del self.aboard[each.one.delivery_id]
        self._under_way[each.holding.work.provider] -= 1
        self.fleet.drop(each.one.delivery_id)

    def _conclude(self, each: Aboard, verdict: Verdict) -> None:
        if self.fleet.away and verdict.kind is Kind.NOT_HANDED_OVER:
            self.silence = verdict.text
            self.again(each.holding, each.one, after=AFTER_LOSS, reply=verdict.text)
            return
        self.lost += verdict.kind is Kind.NOT_HANDED_OVER and verdict.relay_wide
        self.is_heard = self.is_heard or verdict.kind in _ANSWERS
        errand = each.holding.errand
        result = each.holding.aftermath.conclude(
            each.holding.work, errand.purpose, each.one, verdict, at=self.at
        )
        if result.state is DeliveryState.ACCEPTED:
            result.event_id = each.event_id
        result.turn = each.turn
        each.holding.results.append(result)

    def _end(
        self,
        holding: Holding,
        one: Recipient,
        state: DeliveryState,
        *,
        retry_at: datetime | None = None,
        reason: Reason | None = None,
        event_id: int | None = None,
        reply: str | None = None,
        tries: int | None = None,
    ) -> None:
        holding.results.append(
            Result(
                delivery_id=one.delivery_id,
                state=state,
                at=self.at,
                tries=one.tries if tries is None else tries,
                retry_at=retry_at,
                reason=reason,
                event_id=event_id,
                reply=reply[:200] if reply else None,
            )
        )
