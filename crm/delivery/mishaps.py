"""What befell senders and was overcome by itself: counted by day, for people to read.

Senders never read it. A row for each kind and day, however often it happened.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.delivery.insist import FAILED
from crm.delivery.models import MishapCount
from crm.delivery.states import Mishap

TOLD_FOR: Final = timedelta(days=1)
_FORGOTTEN_AFTER: Final = timedelta(days=60)
_A_JUMP_S: Final = 60.0
"""Less is a clock that is being put right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All mishaps of one kind of the last day and the rest of the day before it began."""

    kind: Mishap
    times: int
    last_at: datetime
    longest_s: float
    uncertain: int
    queued_again: int


def count(
    session: Session,
    kind: Mishap,
    *,
    at: datetime,
    times: int = 1,
    lasted_s: float = 0.0,
    uncertain: int = 0,
    queued_again: int = 0,
) -> None:
    """Write down that it has happened, and is over."""
    row = {"kind": kind, "on": at.date(), "times": times, "last_at": at, "longest_s": lasted_s}
    sums = {"uncertain": uncertain, "queued_again": queued_again}
    added = insert(MishapCount).values(**row, **sums)
    now = added.excluded
    changed = {
        "times": MishapCount.times + now.times,
        "last_at": now.last_at,
        "longest_s": func.greatest(MishapCount.longest_s, now.longest_s),
        "uncertain": MishapCount.uncertain + now.uncertain,
        "queued_again": MishapCount.queued_again + now.queued_again,
    }
    session.execute(added.on_conflict_do_update(index_elements=["kind", "on"], set_=changed))


def told(session: Session, *, at: datetime) -> list[Told]:
    """Return what happened within a day, a row for each kind."""
    sums = (MishapCount.times, MishapCount.uncertain, MishapCount.queued_again)
    rows = session.execute(
        select(
            MishapCount.kind,
            func.max(MishapCount.last_at).label("last_at"),
            func.max(MishapCount.longest_s).label("longest_s"),
            *(func.sum(one).label(one.key) for one in sums),
        )
        .where(MishapCount.last_at > at - TOLD_FOR)
        .group_by(MishapCount.kind)
        .order_by(MishapCount.kind)
    ).mappings()
    return [Told(**row) for row in rows]


def forget(session: Session, *, at: datetime) -> None:
    """Drop what happened two months ago."""
    session.execute(
        delete(MishapCount)
        .where(MishapCount.on < (at - _FORGOTTEN_AFTER).date())
        .execution_options(synchronize_session=False)
    )


@dataclass(slots=True, kw_only=True)
class Memory:
    """What befell one sender since it last wrote it down."""

    now: Callable[[], datetime]
    now_s: Callable[[], float]
    """Monotonic: against it a jump of ``now`` is seen."""
    jumped_s: float = 0.0
    lost: int = 0
    """Letters whose line was lost before their dot."""
    _differ_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._differ_s = self._difference_s()

    def look_at_the_clock(self) -> None:
        """Remember by how much the clock has jumped, ahead or back, if it has."""
        differ_s = self._difference_s()
        jump_s = abs(differ_s - self._differ_s)
        if jump_s >= _A_JUMP_S:
            self.jumped_s = max(self.jumped_s, jump_s)
            self._differ_s = differ_s

    def write(self, session: Session) -> None:
        """Write down and commit what there is; then it is forgotten here."""
        at, away_since_s = self.now(), session.info.get(FAILED)
        if away_since_s is None and not self.jumped_s and not self.lost:
            return
        if away_since_s is not None:
            lasted_s = time.monotonic() - away_since_s
            count(session, Mishap.DATABASE_AWAY, at=at, lasted_s=lasted_s)
        if self.jumped_s:
            count(session, Mishap.CLOCK_JUMPED, at=at, lasted_s=self.jumped_s)
        if self.lost:
            count(session, Mishap.LINE_LOST, at=at, times=self.lost)
        session.commit()
        session.info.pop(FAILED, None)
        self.jumped_s, self.lost = 0.0, 0

    def _difference_s(self) -> float:
        return self.now().timestamp() - self.now_s()
