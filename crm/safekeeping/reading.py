"""Reading the journal: in the order of time, a line at a time, however long it is."""

import heapq
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

from crm.config import Settings
from crm.consent.tokens import key_id
from crm.safekeeping import lines
from crm.safekeeping.rules import Marks

KEPT: Final = timedelta(days=400)
"""Longer than any backup may live: the journal is of use for what a backup does not know."""
TAIL: Final = 64 * 1024
"""Bytes at the end of a file in which its newest records are looked for."""
RECENT_DAYS: Final = 2
"""A database that knows the newest records knows the older ones. Two, because of midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A line that is not as it was written."""

    file: str
    number: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record: what was done, and the rest as the writer put it."""

    kind: str
    at: datetime
    said: dict[str, Any]


def records(settings: Settings, faults: list[Fault]) -> Iterator[Record]:
    """Yield every record whose line can be read, in the order of time; add to ``faults``.

    A record of a line that was tampered with is yielded all the same: an invented stop is a letter
    less, a lost one is a letter too many.
    """
    keys = {key_id(key): key.encode() for key in settings.suppression_keys}
    for day in days(settings.state_dir):
        files = [_read(path, keys, faults) for path in sorted(day.glob("*.log"))]
        yield from heapq.merge(*files, key=lambda record: record.at)


def days(state_dir: Path) -> list[Path]:
    """Return the folders of the journal, one for each day, oldest first."""
    return sorted((state_dir / "journal").glob("????-??-??"))


def tidy(state_dir: Path, *, at: datetime) -> int:
    """Remove the days that no backup can be older than; return how many."""
    oldest = (at - KEPT).date().isoformat()
    gone = [day for day in days(state_dir) if day.name < oldest]
    for day in gone:
        rmtree(day)
    return len(gone)


class Tails:
    """The largest numbers at the end of the journal. Only files that grew are read again."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[int, Marks]] = {}

    def marks(self, state_dir: Path) -> Marks:
        """Return the largest fence, delivery and event that the newest days speak of."""
        recent = [path for day in days(state_dir)[-RECENT_DAYS:] for path in day.glob("*.log")]
        self._seen = {path: self._look(path) for path in recent}
        return largest([marks for _size, marks in self._seen.values()])

    def _look(self, path: Path) -> tuple[int, Marks]:
        size = path.stat().st_size
        seen = self._seen.get(path)
        if seen is not None and seen[0] == size:
            return seen
        return size, largest(_tail(path, size))


def marks_of(said: dict[str, Any]) -> Marks:
    """Return the numbers that a record speaks of."""
    return Marks(
        fence=said.get("fence", 0),
        window=said.get("window", 0),
        delivery=said.get("upto", 0),
        event=said.get("event", 0),
        at=datetime.fromisoformat(said["at"]),
    )


def largest(found: list[Marks]) -> Marks:
    """Return the largest of each number."""
    return Marks(
        fence=max((one.fence for one in found), default=0),
        window=max((one.window for one in found), default=0),
        delivery=max((one.delivery for one in found), default=0),
        event=max((one.event for one in found), default=0),
        at=max((one.at for one in found if one.at), default=None),
    )


def _tail(path: Path, size: int) -> list[Marks]:
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL))
        tail = file.read().splitlines(keepends=True)
    found = []
    for line in tail:
        with suppress(ValueError):  # the torn last, or the one that the tail begins within
            found.append(marks_of(json.loads(lines.parse(line)[0])))
    return found


def _read(path: Path, keys: Mapping[str, bytes], faults: list[Fault]) -> Iterator[Record]:
    key, before = None, lines.START
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # cut by a crash or a full disk: no later line was ever written
            try:
                stored, sealed = lines.parse(line)
                record = _record(stored)
            except (ValueError, KeyError, TypeError):
                faults.append(_fault(path, number, "is not a line of the journal"))
                continue
            if record.kind == "opened":
                key = keys.get(record.said.get("key", ""))
            if key is None:
                faults.append(_fault(path, number, "was written under a key that is not here"))
            elif lines.mark(before, stored, key) != sealed:
                faults.append(_fault(path, number, "is not what was written there"))
            before = sealed
            if record.kind != "opened":
                yield record


def _record(stored: bytes) -> Record:
    said = json.loads(stored)
    return Record(kind=said["kind"], at=datetime.fromisoformat(said["at"]), said=said)


def _fault(path: Path, number: int, what: str) -> Fault:
    return Fault(file=f"{path.parent.name}/{path.name}", number=number, what=what)
