"""Doing again what a restored database has forgotten, from the journal.

Refusals are obeyed again. Mailings of which letters left after the backup are held, and those
letters remembered, so that resuming doubles none. Doing it twice changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from crm.config import Settings
from crm.installation import letters, refusals
from crm.safekeeping import reading
from crm.safekeeping.installation import look
from crm.safekeeping.reading import Fault, Record
from crm.safekeeping.rules import Marks

T = TypeVar("T")
BATCH: Final = 1000


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What the journal had to add, and the largest numbers that it has seen."""

    stops: int = 0
    letters: Counter[int] = field(default_factory=Counter)
    """How many are not sent again, by mailing; each of these mailings is held now."""
    unknown: set[UUID] = field(default_factory=set)
    """Mailings of which letters left, and which the database has never heard of."""
    faults: list[Fault] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)


def replay(session: Session, settings: Settings) -> Replayed:
    """Bring the database up to what the journal knows. Flushed, not committed."""
    done, known = Replayed(), look(session).marks
    lost: list[refusals.Stop] = []
    whole = reading.records(settings, done.faults)
    while some := list(islice(whole, BATCH)):
        done.marks = reading.largest([done.marks, *(reading.marks_of(one.said) for one in some)])
        lost += refusals.unknown(session, _read(some, "stop", refusals.read))
        windows = _read(some, "handing", letters.read)
        added, unknown = letters.remember(
            session, [one for one in windows if one.window_id > known.window]
        )
        done.letters += added
        done.unknown |= unknown
    letters.hold(session, done.letters)
    done.stops = refusals.obey(session, lost, keys=settings.suppression_keys)
    session.flush()
    return done


def _read(some: Iterable[Record], kind: str, reader: Callable[[dict[str, Any]], T]) -> list[T]:
    """Return the records of a kind as values; one that was made unreadable is in the faults."""
    found = []
    for one in some:
        if one.kind == kind:
            with suppress(KeyError, ValueError, TypeError):
                found.append(reader(one.said))
    return found
