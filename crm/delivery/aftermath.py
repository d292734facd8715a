"""What a relay's answer brings: an end or another try for the letter, and more for others.

The rest of a destination, the bounce of an address, the hold of a mailing: gathered while letters
are under way, written down with the results.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from crm.consent.rules import Purpose
from crm.delivery import manners, refusals, rest, service, together
from crm.delivery.door import Door, Doors, refuses_us
from crm.delivery.lease import Work
from crm.delivery.rules import after_doubt, after_loss, after_trouble
from crm.delivery.states import DeliveryState, Lane
from crm.delivery.vigil import Vigil
from crm.delivery.window import Recipient, Result
from crm.mail.refusal import Refusal, classify
from crm.mail.smtp import Kind, Stage, Verdict


@dataclass(slots=True, kw_only=True)
class Aftermath:
    """What the answers to one mailing's letters bring.

    ``vigil``, ``door`` and ``doors`` live as long as their sender.
    """

    lane: Lane
    vigil: Vigil
    door: Door
    """The relay's."""
    doors: Doors
    """Of the destinations behind it."""
    bounced: list[tuple[Recipient, str]] = field(default_factory=list)
    """Whose address does not exist, and the reply that says so."""
    rests: dict[str, str] = field(default_factory=dict)
    """By destination, the reply that began it."""
    doubts: dict[str, str] = field(default_factory=dict)
    """By destination, the last reply that begins one if it is repeated."""
    accepted_at: set[str] = field(default_factory=set)
    """Destinations that took a letter."""
    refusals: Counter[Refusal] = field(default_factory=Counter)
    replies: dict[Refusal, str] = field(default_factory=dict)
    """By refusal, the last words of it."""
    hold: str | None = None
    """Why the mailing is to wait for a person."""
    turned_away: str | None = None
    """The reply by which the relay refused us for now."""

    @property
    def relay_rests(self) -> bool:
        """Return whether the relay is to be left alone: by its answers, it lets nobody in."""
        return self.turned_away is not None and self.door.is_shut

    @property
    def has_rests(self) -> bool:
        """Return whether anything is to rest."""
        return bool(self.rests) or self.relay_rests

    def conclude(
        self, work: Work, purpose: Purpose, one: Recipient, verdict: Verdict, *, at: datetime
    ) -> Result:
        """Return what becomes of a letter that got this verdict."""
        result = Result(
            delivery_id=one.delivery_id,
            state=DeliveryState.ACCEPTED,
            at=at,
            tries=one.tries,
            code=verdict.code,
            enhanced=verdict.enhanced,
            reply=verdict.text,
        )
        self.door.heed(one.delivery_id, verdict)
        match verdict.kind:
            case Kind.ACCEPTED:
                self._accepted(_destination(work, one))
                self.hold = self.hold or self.vigil.heed(work.provider, None)
            case Kind.UNCERTAIN:
                doubt = after_doubt(purpose, one.tries, at=at)
                result.state, result.retry_at = doubt.state, doubt.retry_at
            case Kind.NOT_HANDED_OVER:
                self._not_handed_over(result, verdict, at=at)
            case _ if refuses_us(verdict):
                self._turned_away(result, verdict, at=at)
            case _:
                self._refused(work, one, result, verdict, at=at)
        return result

    def write(
        self,
        session: Session,
        work: Work,
        *,
        rests: Collection[str],
        keys: tuple[str, ...],
        at: datetime,
    ) -> None:
        """Write down what was gathered, in the transaction of the results.

        What it means for the relay is ``write_of_the_relay``'s.

        Args:
            session: in transaction (a).
            work: what is held.
            rests: destinations whose rests are remembered: the first letter accepted ends that.
            keys: the suppression keys, newest first.
            at: now.

        """
        for one, reply in self.bounced:
            refusals.bounced(session, one.delivery_id, reply=reply, keys=keys, at=at)
        self.rests = self._repeated(rests) | self.rests
        for destination in sorted(self.rests):
            rest.rest(session, destination, because=self.rests[destination], at=at)
        woken = sorted(self.accepted_at.intersection(rests))
        if woken:
            rest.wake(session, woken, at=at)
        refusals.count(
            session, work.mailing_id, work.provider, self.refusals, replies=self.replies, at=at
        )
        if not self.hold:
            self.hold = self._judged_by_all(session, work)
        if self.hold:
            service.hold(session, work.mailing_id, self.hold)

    def _repeated(self, rests: Collection[str]) -> dict[str, str]:
        """Return the doubts that have come true: of several letters, or right after a rest.

        What rested because of any sender's letters rests again by one more refusal.
        """
        return {
            destination: reply
            for destination, reply in self.doubts.items()
            if destination in rests or self.doors.is_shut(destination)
        }

    def _judged_by_all(self, session: Session, work: Work) -> str | None:
        bounced = self.refusals[Refusal.NO_SUCH_ADDRESS]
        refused = self.refusals[Refusal.POLICY]
        if self.lane is Lane.SERVICE or not (bounced or refused):
            return None
        return together.judge(session, work, bounced=bounced, refused=refused)

    def write_of_the_relay(self, session: Session, *, rests: Collection[str], at: datetime) -> None:
        """Let the relay rest, or end that: the last of the transaction (``pace`` says why)."""
        if self.relay_rests:
            rest.rest(session, manners.RELAY, because=self.turned_away or "", at=at)
        elif self.accepted_at and manners.RELAY in rests:
            rest.wake(session, {manners.RELAY}, at=at)

    def clear(self) -> None:
        """Forget what was written down."""
        for destination in self.rests:
            self.doors.forget(destination)
        self.bounced.clear()
        self.rests.clear()
        self.doubts.clear()
        self.accepted_at.clear()
        self.refusals.clear()
        self.replies.clear()
        self.hold = self.turned_away = None

    def _accepted(self, destination: str) -> None:
        self.accepted_at.add(destination)
        self.doors.forget(destination)
        self.doubts.pop(destination, None)

    def _not_handed_over(self, result: Result, verdict: Verdict, *, at: datetime) -> None:
        result.state = DeliveryState.QUEUED
        if verdict.stage is Stage.MAIL and not verdict.relay_wide:
            # The form of the letter did not suit this line: it is printed anew, and was no try.
            result.tries, result.retry_at = result.tries - 1, at
        else:
            loss = after_loss(result.tries, at=at)
            result.state, result.retry_at = loss.state, loss.retry_at

    def _turned_away(self, result: Result, verdict: Verdict, *, at: datetime) -> None:
        """The relay refuses us, whoever the recipient.

        A campaign's letters wait, for the end of a rest or for a person, and that is no try of
        them. Nobody looks after a service letter: it is tried at its own pace, and may fail.
        """
        if verdict.kind is Kind.LATER:
            self.turned_away = verdict.text
        elif self.lane is Lane.BULK:
            self.hold = verdict.text
        if self.lane is Lane.SERVICE:
            self._count(result, verdict)
            follows = after_trouble(result.tries, at=at)
        elif self.hold or self.door.is_shut:
            result.tries -= 1
            follows = after_loss(1, at=at)
        else:
            follows = after_loss(result.tries, at=at)
        result.state, result.retry_at = follows.state, follows.retry_at

    def _refused(
        self, work: Work, one: Recipient, result: Result, verdict: Verdict, *, at: datetime
    ) -> None:
        refusal = self._count(result, verdict)
        follows = manners.after(refusal, one.tries, code=verdict.code, at=at)
        result.state = DeliveryState.QUEUED if follows.retry_at else DeliveryState.FAILED
        result.retry_at = follows.retry_at
        if follows.rests:
            self.rests[_destination(work, one)] = verdict.text
        if follows.rests_if_repeated:
            self.doubts[_destination(work, one)] = verdict.text
            self.doors.turn_away(_destination(work, one), one.delivery_id)
        if follows.bounced:
            self.bounced.append((one, verdict.text))
        self.hold = self.hold or self.vigil.heed(work.provider, refusal)

    def _count(self, result: Result, verdict: Verdict) -> Refusal:
        refusal = classify(verdict.code, verdict.enhanced, verdict.text, stage=verdict.stage.value)
        result.refusal = refusal.value
        self.refusals[refusal] += 1
        self.replies[refusal] = verdict.text
        return refusal


def _destination(work: Work, one: Recipient) -> str:
    return manners.destination(work.provider, (one.value or "").rpartition("@")[2])
