"""Remembering the letters that left after the backup, so that resuming doubles none."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from crm.delivery.models import Mailing
from crm.delivery.states import Lane, MailingState
from crm.errors import later
from crm.safekeeping import handed, lines

LEFT: Final = later(
    "Letters of this mailing left after the backup was made. Whoever had one gets no second; "
    "resume it or stop it."
)
OVER: Final = (MailingState.STOPPED, MailingState.FINISHED)
UNLAUNCHED: Final = (MailingState.SCHEDULED, MailingState.OVERDUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Letters that were about to be handed over."""

    window_id: int
    mailing: UUID
    tokens: list[bytes]


def read(said: dict[str, Any]) -> Window:
    """Return a record of the journal as a window."""
    return Window(
        window_id=said["window"], mailing=UUID(said["mailing"]), tokens=lines.unpacked(said["to"])
    )


def remember(session: Session, windows: Sequence[Window]) -> tuple[Counter[int], set[UUID]]:
    """Remember the letters of windows; return how many were new, by mailing.

    And the keys of mailings that the database has never heard of.
    """
    keys = {window.mailing for window in windows}
    rows = session.execute(
        select(Mailing.key, Mailing.id, Mailing.state).where(Mailing.key.in_(keys))
    ).all()
    open_ones = {row.key: row.id for row in rows if row.state not in OVER}
    added: Counter[int] = Counter()
    for window in windows:
        mailing_id = open_ones.get(window.mailing)
        if mailing_id is not None:
            added[mailing_id] += handed.remember(session, mailing_id, window.tokens)
    return +added, keys - {row.key for row in rows}


def hold(session: Session, mailing_ids: Collection[int]) -> None:
    """Let a person decide on each; one that was not launched in this database is overdue.

    A service letter needs no decision: whoever had one is remembered, and gets no second.
    """
    session.execute(
        update(Mailing)
        .where(Mailing.id.in_(mailing_ids), Mailing.lane == Lane.BULK)
        .values(
            state=case(
                (Mailing.state.in_(UNLAUNCHED), MailingState.OVERDUE), else_=MailingState.HELD
            ),
            held_because=LEFT,
        )
        .execution_options(synchronize_session=False)
    )
