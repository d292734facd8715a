"""One window's way out: bodies, the gate, dots, replies.

A letter is dispatched by its final dot: until CRLF.CRLF a server must discard what it has got
(RFC 5321 4.1.1.4). So the bodies flow first, and only the dots wait for the look at consent.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.consent import gate
from crm.consent.rules import Reason
from crm.delivery import look
from crm.delivery.errand import Errand
from crm.delivery.lease import Fenced
from crm.delivery.rules import (
    AFTER_LOSS,
    LOOK_S,
    PATIENCE_S,
    Settled,
    after_doubt,
    after_refusal,
)
from crm.delivery.states import DeliveryState, MailingState
from crm.delivery.window import Recipient, Result
from crm.mail import smtp
from crm.mail.smtp import Kind, Letter, Line, Verdict

log = logging.getLogger(__name__)

OFFER_S = 60.0
"""For connecting and handing in the bodies of a window; without their dots they are nothing."""


@dataclass(slots=True, kw_only=True)
class Crossing:
    """One window on its way. ``results`` has one for each recipient in the end, come what may."""

    session: Session
    errand: Errand
    lines: Sequence[Line]
    now: Callable[[], datetime]
    beat: Callable[[], None]
    results: dict[int, Result] = field(init=False, default_factory=dict)
    """By delivery."""
    dotted: dict[Line, Recipient] = field(init=False, default_factory=dict)
    allowed: dict[int, int | None] = field(init=False, default_factory=dict)
    """By delivery, the ledger event that allowed its dot."""
    relay_away: bool = field(init=False, default=False)
    """Nothing could be handed to the relay: the sender had better rest."""
    refused_as_a_whole: str | None = field(init=False, default=None)
    """The relay's words where it refuses this mailing's sender, whoever the recipient."""

    def run(self, recipients: Sequence[Recipient]) -> None:
        """Take the window to its end.

        Raises:
            Fenced: the lease is dead. Before any dot nothing has left; after it the answers are
                lost to us, and whoever buried the lease has called these letters uncertain.

        """
        try:
            self._pass_gate(self._offer(recipients))
            smtp.replies(list(self.dotted), timeout_s=self._patience(), beat=self.beat)
            for line, one in self.dotted.items():
                self._conclude(one, line.verdict)
        except Fenced:
            raise
        except Exception as fault:
            # Of whatever kind: the letters of this window are accounted for below.
            log.exception("window broken", extra={"fault": type(fault).__name__})
            self.session.rollback()
        finally:
            for line in self.lines:
                if line.ready or line.dotted:
                    smtp.drop(line)
        self._account_for(recipients)

    def _patience(self) -> float:
        return PATIENCE_S[self.errand.purpose]

    def _offer(self, recipients: Sequence[Recipient]) -> dict[Line, Recipient]:
        pairs: dict[Line, tuple[Recipient, Letter]] = {}
        for line, one in zip(self.lines, recipients, strict=False):
            letter = self._letter(one)
            if letter is not None:
                pairs[line] = one, letter
        smtp.offer(
            [(line, letter) for line, (_one, letter) in pairs.items()],
            timeout_s=OFFER_S,
            beat=self.beat,
        )
        offered = {line: one for line, (one, _letter) in pairs.items()}
        verdicts = [line.verdict for line in offered if line.verdict is not None]
        self.relay_away = len(verdicts) == len(offered) > 0 and all(
            verdict.kind is Kind.NOT_HANDED_OVER for verdict in verdicts
        )
        for line, one in offered.items():
            if not line.ready:
                self._conclude(one, line.verdict)
        return {line: one for line, one in offered.items() if line.ready}

    def _letter(self, one: Recipient) -> Letter | None:
        if one.value is None:
            self._end(one, DeliveryState.WITHHELD, reason=Reason.DESTROYED)
            return None
        try:
            return self.errand.letter(one, one.value, at=self.now())
        except ValueError as fault:
            log.warning("letter not printed", extra={"delivery_id": one.delivery_id})
            self._end(one, DeliveryState.FAILED, reply=f"{type(fault).__name__}: {fault}")
            return None

    def _pass_gate(self, offered: dict[Line, Recipient]) -> None:
        """Transaction (b): the lock; then, in a later statement, the look; then the dots."""
        if not offered:
            return
        try:
            gate.enter(self.session)
            looked = time.monotonic()
            looks = self._look(list(offered.values()))
            for line, one in offered.items():
                if self._may_go(line, one, looks[one.delivery_id], looked):
                    self.dotted[line] = one
            self.session.commit()
        except DBAPIError:
            # The gate may be gone: not one more dot. What was dotted before still has an answer.
            self.session.rollback()
            log.warning("gate lost", extra={"fence": self.errand.work.fence})
        for line, one in offered.items():
            if line.ready:
                smtp.drop(line)
                if one.delivery_id not in self.results:
                    self._again(one)

    def _may_go(self, line: Line, one: Recipient, seen: look.Look, looked: float) -> bool:
        """Write the dot if it may be written; settle the recipient if not."""
        if seen.fenced:
            raise Fenced(f"lease {self.errand.work.fence}")
        if seen.mailing in (MailingState.STOPPED, MailingState.FINISHED):
            self._end(one, DeliveryState.WITHHELD, reason=Reason.STOPPED)
        elif seen.refused is not None:
            self._end(one, DeliveryState.WITHHELD, reason=seen.refused, event_id=seen.event_id)
        elif seen.mailing is not MailingState.RUNNING or time.monotonic() - looked > LOOK_S:
            self._again(one)
        elif smtp.dot(line):
            self.allowed[one.delivery_id] = seen.event_id
            return True
        else:
            self._conclude(one, line.verdict)
        return False

    def _account_for(self, recipients: Sequence[Recipient]) -> None:
        """Settle whoever was left over: in doubt after a dot, queued again before it."""
        in_doubt = {one.delivery_id for one in self.dotted.values()}
        for one in recipients:
            if one.delivery_id in self.results:
                continue
            if one.delivery_id in in_doubt:
                self._conclude(one, None)
            else:
                self._again(one, after=AFTER_LOSS)

    def _look(self, recipients: Sequence[Recipient]) -> dict[int, look.Look]:
        errand = self.errand
        return look.look(
            self.session,
            errand.work,
            recipients,
            purpose=errand.purpose,
            channel=errand.channel,
            keys=errand.settings.suppression_keys,
            at=self.now(),
        )

    def _conclude(self, one: Recipient, verdict: Verdict | None) -> None:
        if verdict is None or verdict.kind is Kind.UNCERTAIN:
            after = after_doubt(self.errand.purpose, one.tries, at=self.now())
            self._settle(one, after, verdict)
        elif verdict.kind is Kind.ACCEPTED:
            self._end(
                one,
                DeliveryState.ACCEPTED,
                event_id=self.allowed.get(one.delivery_id),
                code=verdict.code,
                reply=verdict.text,
            )
        elif self.relay_away:
            self._again(one, after=AFTER_LOSS, reply=verdict.text)
        elif verdict.kind is Kind.REJECTED and verdict.relay_wide:
            self.refused_as_a_whole = verdict.text
            self._again(one, after=AFTER_LOSS, reply=verdict.text)
        elif verdict.kind is Kind.REJECTED:
            self._settle(one, Settled(state=DeliveryState.FAILED), verdict)
        else:
            self._settle(one, after_refusal(one.tries, at=self.now()), verdict)

    def _settle(self, one: Recipient, after: Settled, verdict: Verdict | None) -> None:
        self._end(
            one,
            after.state,
            retry_at=after.retry_at,
            code=verdict.code if verdict else None,
            reply=verdict.text if verdict else None,
        )

    def _again(
        self, one: Recipient, *, after: timedelta = timedelta(0), reply: str | None = None
    ) -> None:
        """Queue again: the letter was not to blame, so this was no try of it."""
        retry_at = self.now() + after
        self._end(one, DeliveryState.QUEUED, retry_at=retry_at, reply=reply, tries=one.tries - 1)

    def _end(
        self,
        one: Recipient,
        state: DeliveryState,
        *,
        retry_at: datetime | None = None,
        reason: Reason | None = None,
        event_id: int | None = None,
        code: int | None = None,
        reply: str | None = None,
        tries: int | None = None,
    ) -> None:
        self.results[one.delivery_id] = Result(
            delivery_id=one.delivery_id,
            state=state,
            at=self.now(),
            tries=one.tries if tries is None else tries,
            retry_at=retry_at,
            reason=reason,
            event_id=event_id,
            code=code,
            reply=reply[:200] if reply else None,
        )
