"""A lease in a sender's hands: what of it is on the way, and what is known and not written down."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from crm.delivery import lease, window
from crm.delivery.aftermath import Aftermath
from crm.delivery.allowance import Allowance
from crm.delivery.errand import Errand
from crm.delivery.lease import Work
from crm.delivery.states import Lane, MailingState
from crm.delivery.window import Recipient, Result
from crm.straight import finish


@dataclass(eq=False, slots=True, kw_only=True)
class Holding:
    """One lease. Results in hand are the only record of letters that have left."""

    work: Work
    errand: Errand
    lane: Lane
    aftermath: Aftermath
    supply: deque[Recipient] = field(default_factory=deque)
    """Taken, and not handed in."""
    results: list[Result] = field(default_factory=list)
    """Known, and not yet written down."""
    exhausted: bool = False
    """Nothing more is to be taken of it: it ends once all that was taken has ended."""
    ended: bool = field(init=False, default=False)
    is_fenced: bool = False
    """It was buried: nothing may be written under it any more."""
    left: int = field(init=False)
    """How many letters of the lease were not taken."""
    has_taken: bool = field(init=False, default=False)
    """There was a letter in it for us."""
    _known: int = field(init=False, default=0)
    """How many transactions (a) are known to be committed."""
    _open: Counter[int] = field(init=False, default_factory=Counter)
    """By window, how many of its letters are not settled."""
    _window_of: dict[int, int] = field(init=False, default_factory=dict)
    """By delivery."""

    def __post_init__(self) -> None:
        self.left = self.work.letters

    @property
    def on_the_way(self) -> int:
        """Return how many letters were taken and have no result yet."""
        return len(self._window_of) - len(self.results)

    def advance(
        self, session: Session, allowance: Allowance, *, limit: int, at: datetime
    ) -> list[Recipient]:
        """Do transaction (a) and commit it: write down the results, take the next recipients.

        The lease ends with it where nothing is left, or nothing more may leave now. After a
        database error call it again with the same ``limit``: whether the commit whose answer was
        lost has happened is found out.

        Raises:
            Fenced: the lease was buried; what is known here is settled as uncertain there.

        """
        work = self.work
        closed = self._closed()
        counted, state = window.write(session, work, self.results, closed=closed)
        is_written_now = counted == self._known + 1
        if is_written_now:
            window.put_back(session, work, self.lane, self.results)
            self.aftermath.write(
                session,
                work,
                rests=allowance.rests,
                keys=self.errand.settings.suppression_keys,
                at=at,
            )
        else:
            # The last (a) was committed and its answer lost: these results were in it, and the
            # window that it took is known to nobody.
            session.rollback()
            counted, state = window.write(session, work, [], closed=[])
            known = self._open.keys() - closed
            window.take_back(session, work, self.lane, known=known, at=at)
        recipients: list[Recipient] = []
        barred: list[Result] = []
        if limit and not self.exhausted and state is MailingState.RUNNING and self._goes_on:
            wanted = min(limit, self.left)
            letters = allowance.letters(session, work, self.lane, wanted=wanted, at=at)
            if letters:
                recipients = window.intend(session, work, limit=letters, at=at)
                barred = allowance.barred(session, work, self.lane, recipients, at=at)
        left = self.left - len(recipients)
        exhausted = self.exhausted or left <= 0 or (limit > 0 and not recipients)
        ended = exhausted and not recipients and closed >= self._open.keys()
        if ended:
            lease.give_back(session, work.fence)
        if is_written_now:
            self.aftermath.write_of_the_relay(session, rests=allowance.rests, at=at)
        finish(session)
        if self.aftermath.has_rests:
            allowance.ask_anew()
        self._known, self.exhausted, self.ended = counted, exhausted, ended
        self.left = left
        self.aftermath.clear()
        self._forget(closed)
        self._remember(recipients)
        self.has_taken = self.has_taken or bool(recipients)
        self.results += barred
        gone = {result.delivery_id for result in barred}
        return [one for one in recipients if one.delivery_id not in gone]

    @property
    def _goes_on(self) -> bool:
        """Return whether more may be taken after what was heard: a relay rests from campaigns."""
        return self.lane is Lane.SERVICE or not self.aftermath.relay_rests

    def _closed(self) -> set[int]:
        """Return the windows that the results in hand complete."""
        settled = Counter(self._window_of[result.delivery_id] for result in self.results)
        return {one for one, letters in settled.items() if letters == self._open[one]}

    def _forget(self, closed: Iterable[int]) -> None:
        for result in self.results:
            self._open[self._window_of.pop(result.delivery_id)] -= 1
        self.results.clear()
        for one in closed:
            del self._open[one]

    def _remember(self, recipients: Iterable[Recipient]) -> None:
        for one in recipients:
            self._window_of[one.delivery_id] = one.window_id
            self._open[one.window_id] += 1
