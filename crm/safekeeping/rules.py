"""Whether database, state folder and machine belong together. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import ceil
from typing import Final

from crm.errors import later


class Why(StrEnum):
    """What does not fit. The values are written into ``held.json``."""

    FILE_LOST = "file_lost"
    ROW_LOST = "row_lost"
    OTHER_COPY = "other_copy"
    OTHER_DATABASE = "other_database"
    OTHER_MACHINE = "other_machine"
    OLDER = "older"


SAY: Final = {
    Why.FILE_LOST: later(
        "The state folder has lost its epoch file, or another folder is mounted in its place. "
        "Nothing is sent until a person releases this installation."
    ),
    Why.ROW_LOST: later(
        "The database does not know the installation that the state folder belongs to: it was "
        "restored from an old backup, or it is another one. "
        "Nothing is sent until a person releases this installation."
    ),
    Why.OTHER_COPY: later(
        "The epoch of the database (%(database)s) is not that of the state folder (%(folder)s): "
        "another copy of this installation was released. "
        "Nothing is sent from here until a person releases this one."
    ),
    Why.OTHER_DATABASE: later(
        "This is not the database that was released: it was restored, or it is a copy. "
        "Nothing is sent until a person releases this installation."
    ),
    Why.OTHER_MACHINE: later(
        "This is not the machine that was released: the installation was copied or has moved. "
        "Nothing is sent until a person releases it here."
    ),
    Why.OLDER: later(
        "The database is older than what has left this machine, by %(hours)s h (leases missing: "
        "%(leases)s, events of the ledger missing: %(events)s): it was restored from a backup. "
        "Nothing is sent until a person releases this installation."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is allowed to send: what ``installation.json`` says."""

    key: str
    epoch: int
    system: str | None
    """The cluster's system identifier; None where the server does not tell it."""
    database: int
    """The database's oid: one that was created anew to be restored into has another."""
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The largest numbers that were given out.

    The journal's are never above the database's own, unless the database was restored.
    """

    fence: int = 0
    window: int = 0
    delivery: int = 0
    event: int = 0
    at: datetime | None = field(default=None, compare=False)
    """When the newest of them was given out, as far as that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the database says of itself."""

    key: str | None
    """None where it has no installation."""
    epoch: int
    system: str | None
    database: int
    marks: Marks

    @property
    def is_unused(self) -> bool:
        """Return whether nobody was ever written to, nor asked anything, from this database."""
        return self.marks == Marks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why nothing may be sent. ``say`` is a msgid; ``values`` fill its placeholders."""

    why: Why
    since: datetime
    values: dict[str, int]

    @property
    def say(self) -> str:
        """Return the sentence for staff, untranslated and unfilled."""
        return SAY[self.why]


def disagreement(
    file: Identity | None, found: Found, machine: str, journal: Marks
) -> tuple[Why, dict[str, int]] | None:
    """Return what does not fit and the numbers of its sentence; None where all fits.

    Nothing to disagree with is no disagreement: an installation of an earlier version has neither
    file nor row, and an unused database beside an old folder is a new beginning.
    """
    if file is None:
        return None if found.key is None else (Why.FILE_LOST, {})
    if found.key is None:
        return None if found.is_unused else (Why.ROW_LOST, {})
    if (found.key, found.epoch) != (file.key, file.epoch):
        return Why.OTHER_COPY, {"database": found.epoch, "folder": file.epoch}
    if found.database != file.database or _differ(found.system, file.system):
        return Why.OTHER_DATABASE, {}
    if machine != file.machine:
        return Why.OTHER_MACHINE, {}
    return _older(found.marks, journal)


def _older(known: Marks, journal: Marks) -> tuple[Why, dict[str, int]] | None:
    leases, events = journal.fence - known.fence, journal.event - known.event
    windows, deliveries = journal.window - known.window, journal.delivery - known.delivery
    if max(leases, windows, deliveries, events) <= 0:
        return None
    return Why.OLDER, {
        "hours": _hours(known.at, journal.at),
        "leases": max(leases, 0),
        "events": max(events, 0),
    }


def _hours(before: datetime | None, after: datetime | None) -> int:
    """Return the hours in between, a begun one as a whole one."""
    if before is None or after is None:
        return 0
    return max(0, ceil((after - before).total_seconds() / 3600))


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other
