"""One window's way out: bodies, the gate, dots, replies.

A letter is dispatched by its final dot: until CRLF.CRLF a server must discard what it has got
(RFC 5321 4.1.1.4). So the bodies flow first, and only the dots wait for the look at consent.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.consent import gate
from crm.consent.rules import Reason
from crm.delivery import window
from crm.delivery.errand import Errand
from crm.delivery.lease import Fenced
from crm.delivery.rules import AFTER_LOSS, LOOK_S, Settled, after_doubt, after_refusal
from crm.delivery.states import DeliveryState, MailingState
from crm.delivery.window import Look, Recipient, Result
from crm.mail import smtp
from crm.mail.smtp import Kind, Letter, Line, Verdict

log = logging.getLogger(__name__)

OFFER_S = 60.0
"""For connecting and handing in the bodies of a window; without their dots they are nothing."""


@dataclass(slots=True, kw_only=True)
class Crossing:
    """One window on its way. ``results`` fills up until it has one for each recipient."""

    session: Session
    errand: Errand
    lines: Sequence[Line]
    now: Callable[[], datetime]
    beat: Callable[[], None]
    results: list[Result] = field(init=False, default_factory=list)
    allowed: dict[int, int | None] = field(init=False, default_factory=dict)
    """By delivery, the ledger event that allowed its dot."""
    relay_away: bool = field(init=False, default=False)
    """The relay was away or refused us as a whole: the sender had better rest."""

    def run(self, recipients: Sequence[Recipient]) -> None:
        """Take the window to its end. Raises Fenced, before any dot, if the lease is dead."""
        offered = self._offer(self._still_welcome(recipients))
        dotted = self._pass_gate(offered)
        smtp.replies(list(dotted), beat=self.beat)
        for line, one in dotted.items():
            self._conclude(one, line.verdict)

    def _still_welcome(self, recipients: Sequence[Recipient]) -> list[Recipient]:
        """Withhold at once from whoever said stop since the launch: it saves their connections."""
        looks = self._look(recipients)
        self.session.rollback()
        welcome = []
        for one in recipients:
            if looks[one.delivery_id].refused is None:
                welcome.append(one)
            else:
                self._withhold(one, looks[one.delivery_id])
        return welcome

    def _offer(self, recipients: Sequence[Recipient]) -> dict[Line, Recipient]:
        pairs: dict[Line, tuple[Recipient, Letter]] = {}
        for line, one in zip(self.lines, recipients, strict=False):
            try:
                pairs[line] = one, self.errand.letter(one, one.value or "", at=self.now())
            except ValueError as fault:
                log.warning("letter not printed", extra={"delivery_id": one.delivery_id})
                self._end(one, DeliveryState.FAILED, reply=f"{type(fault).__name__}: {fault}")
        smtp.offer(
            [(line, letter) for line, (_one, letter) in pairs.items()],
            timeout_s=OFFER_S,
            beat=self.beat,
        )
        offered = {line: one for line, (one, _letter) in pairs.items()}
        for line, one in offered.items():
            if not line.ready:
                self._conclude(one, line.verdict)
        ready = {line: one for line, one in offered.items() if line.ready}
        self.relay_away |= bool(offered) and not ready and self._nothing_arrives(offered)
        return ready

    @staticmethod
    def _nothing_arrives(lines: Iterable[Line]) -> bool:
        return all(line.verdict and line.verdict.kind is Kind.NOT_HANDED_OVER for line in lines)

    def _pass_gate(self, offered: dict[Line, Recipient]) -> dict[Line, Recipient]:
        """Transaction (b). Returns the lines whose dot is written."""
        dotted: dict[Line, Recipient] = {}
        if not offered:
            return dotted
        try:
            gate.enter(self.session)
            looked = time.monotonic()
            looks = self._look(list(offered.values()))
            for line, one in offered.items():
                if self._may_go(line, one, looks[one.delivery_id], looked):
                    dotted[line] = one
            self.session.commit()
        except DBAPIError:
            # The gate may be gone: not one more dot. What was dotted before still has an answer.
            self.session.rollback()
            log.warning("gate lost", extra={"fence": self.errand.work.fence})
        finally:
            for line in [line for line in offered if line.ready]:
                smtp.drop(line)
        self._put_back_unsaid(offered, dotted)
        return dotted

    def _may_go(self, line: Line, one: Recipient, seen: Look, looked: float) -> bool:
        """Write the dot if it may be written; settle the recipient if not."""
        if seen.fenced:
            raise Fenced(f"lease {self.errand.work.fence}")
        if seen.mailing in (MailingState.STOPPED, MailingState.FINISHED):
            self._end(one, DeliveryState.WITHHELD, reason=Reason.STOPPED)
        elif seen.refused is not None:
            self._withhold(one, seen)
        elif seen.mailing is not MailingState.RUNNING or time.monotonic() - looked > LOOK_S:
            self._again(one)
        elif smtp.dot(line):
            self.allowed[one.delivery_id] = seen.event_id
            return True
        else:
            self._conclude(one, line.verdict)
        return False

    def _put_back_unsaid(
        self, offered: dict[Line, Recipient], dotted: dict[Line, Recipient]
    ) -> None:
        settled = {result.delivery_id for result in self.results}
        for line, one in offered.items():
            if line not in dotted and one.delivery_id not in settled:
                self._again(one)

    def _look(self, recipients: Sequence[Recipient]) -> dict[int, Look]:
        errand = self.errand
        return window.look(
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
            text = verdict.text if verdict else ""
            self._end(one, after.state, retry_at=after.retry_at, reply=text)
        elif verdict.kind is Kind.ACCEPTED:
            event_id = self.allowed.get(one.delivery_id)
            self._end(
                one,
                DeliveryState.ACCEPTED,
                event_id=event_id,
                code=verdict.code,
                reply=verdict.text,
            )
        elif verdict.relay_wide:
            # One lost connection is an accident; a refusal of us all is not.
            self.relay_away |= verdict.kind is not Kind.NOT_HANDED_OVER
            self._again(one, after=AFTER_LOSS, reply=verdict.text)
        else:
            self._refused(one, verdict)

    def _refused(self, one: Recipient, verdict: Verdict) -> None:
        after = after_refusal(one.tries, at=self.now())
        if verdict.kind is Kind.REJECTED:
            after = Settled(state=DeliveryState.FAILED)
        self._end(one, after.state, retry_at=after.retry_at, code=verdict.code, reply=verdict.text)

    def _withhold(self, one: Recipient, seen: Look) -> None:
        self._end(one, DeliveryState.WITHHELD, reason=seen.refused, event_id=seen.event_id)

    def _again(
        self, one: Recipient, *, after: timedelta = timedelta(0), reply: str | None = None
    ) -> None:
        """Queue again: nothing was handed over, so this was no try."""
        self._end(
            one,
            DeliveryState.QUEUED,
            retry_at=self.now() + after,
            reply=reply,
            tries=one.tries - 1,
        )

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
        self.results.append(
            Result(
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
        )
