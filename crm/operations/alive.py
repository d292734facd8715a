"""Processes that say they live, and who has said so lately."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.operations.models import Worker

KINDS: Final = ("bulk", "service", "house", "beat")
BEAT_S: Final = 5.0
"""How often a process says that it lives."""
SILENT_AFTER: Final = timedelta(seconds=20)
FORGOTTEN_AFTER: Final = timedelta(days=7)


def beat(
    session: Session, kind: str, *, host: str, pid: int, started_at: datetime, at: datetime
) -> None:
    """Write down that a process lives."""
    row = {"kind": kind[:16], "host": host[:253], "pid": pid}
    times = {"started_at": started_at, "beat_at": at}
    session.execute(
        insert(Worker)
        .values(**row, **times)
        .on_conflict_do_update(index_elements=list(row), set_=times)
    )


def known(session: Session) -> Sequence[Worker]:
    """Return every process that is remembered, the one heard last first."""
    return session.scalars(select(Worker).order_by(Worker.beat_at.desc(), Worker.pid)).all()


def is_alive(worker: Worker, *, at: datetime) -> bool:
    """Return whether it was heard lately. A moment yet to come is a clock that was put back."""
    return worker.beat_at > at - SILENT_AFTER


def forget(session: Session, *, at: datetime) -> None:
    """Drop processes that have been silent for a week."""
    session.execute(
        delete(Worker)
        .where(Worker.beat_at < at - FORGOTTEN_AFTER)
        .execution_options(synchronize_session=False)
    )
