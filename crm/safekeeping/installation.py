"""Who this installation is, and whether it may send.

``installation.json`` in the state folder and the row of the table of that name are agreed once and
say the same from then on, with the database and the machine that they are for.
"""

import hashlib
import logging
import socket
import uuid
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.config import PROJECT, Settings
from crm.safekeeping import folder
from crm.safekeeping.models import Installation
from crm.safekeeping.reading import Tails
from crm.safekeeping.rules import Found, Hold, Identity, Marks, Why, disagreement
from crm.straight import straight

log = logging.getLogger(__name__)

IDENTITY: Final = "installation.json"
HELD: Final = "held.json"
LOCK: Final = 0x0BE7_117F
SEQUENCES: Final = {
    "fence": "leases_fence_seq",
    "window": "windows_id_seq",
    "delivery": "deliveries_id_seq",
    "event": "consent_events_id_seq",
}
"""By the name of the mark."""
MACHINE_ID: Final = Path("/etc/machine-id")


def verdict(session: Session, settings: Settings, *, at: datetime) -> Hold | None:
    """Return why nothing may be sent, service letters neither; None where all fits.

    Cheap enough for every lease: two stat, the tails of files that grew, one SELECT. What was
    held once stays held until ``crm release``, also where the difference goes away by itself.
    """
    held = folder.read(settings.state_dir / HELD)
    if held is None:
        # The journal first: whatever it knows, a database asked afterwards must know too.
        try:
            journal = _tails(settings.state_dir).marks(settings.state_dir)
        except OSError:
            return Hold(why=Why.FILE_LOST, since=at, values={})
        wrong = _wrong(session, settings, journal)
        if wrong is not None:
            lock(session)  # until whoever is agreeing at this moment is done
            wrong = _wrong(session, settings, journal)
        if wrong is None:
            return None
        why, values = wrong
        held = {"why": why.value, "since": at.isoformat(), "values": values}
        log.warning("installation held", extra={"why": why.value, **values})
        with suppress(OSError):  # where it cannot be kept it will be found again
            folder.write(settings.state_dir / HELD, held)
    since = datetime.fromisoformat(held["since"]).astimezone(UTC)
    return Hold(why=Why(held["why"]), since=since, values=held["values"])


def _wrong(
    session: Session, settings: Settings, journal: Marks
) -> tuple[Why, dict[str, int]] | None:
    return disagreement(identity(settings), look(session), machine(settings), journal)


def agree(session: Session, settings: Settings, *, at: datetime) -> bool:
    """Agree who this installation is, where that is not agreed yet; return whether it was new.

    Flushed, not committed. Housekeeping calls it, so that an update needs no command.
    """
    if session.get(Installation, 1) is not None:
        return False
    lock(session)
    found, file = look(session), identity(settings)
    if found.key is not None or (file is not None and not found.is_unused):
        return False
    key = uuid.uuid4()
    if file is not None:
        start_above(session, _tails(settings.state_dir).marks(settings.state_dir))
    # The file first: a crash in between leaves a file beside an unused database, which is agreed
    # anew; the other way round it would look like a lost file.
    write_identity(settings, key=key, epoch=1, found=found)
    folder.remove(settings.state_dir / HELD)
    session.add(Installation(key=key, agreed_at=at))
    session.flush()
    return True


def look(session: Session) -> Found:
    """Return what the database says of itself."""
    [[row]] = straight(session, (_WITH_SYSTEM if _tells_system(session) else _WITHOUT, {}))
    key, epoch, database, system, fence, window, delivery, event, newest_at = row
    return Found(
        key=None if key is None else key.hex,
        epoch=epoch or 0,
        system=None if system is None else str(system),
        database=database,
        marks=Marks(fence=fence, window=window, delivery=delivery, event=event, at=newest_at),
    )


def identity(settings: Settings) -> Identity | None:
    """Return what the state folder says; None where it says nothing."""
    stored = folder.read(settings.state_dir / IDENTITY)
    try:
        return None if stored is None else Identity(**stored)
    except TypeError:
        return None


def write_identity(settings: Settings, *, key: uuid.UUID, epoch: int, found: Found) -> None:
    """Make the state folder say that this database and this machine may send."""
    now = Identity(
        key=key.hex,
        epoch=epoch,
        system=found.system,
        database=found.database,
        machine=machine(settings),
    )
    folder.write(settings.state_dir / IDENTITY, asdict(now))


def start_above(session: Session, journal: Marks) -> None:
    """Never again give out a number that the journal has seen.

    A Message-ID comes from a delivery's number: a mailbox that has seen it drops the letter. It is
    undone with the transaction, as ``setval`` would not be: numbers tell what a database knows.
    """
    known = look(session).marks
    for name, sequence in SEQUENCES.items():
        after = max(getattr(known, name), getattr(journal, name)) + 1
        session.execute(text(f"ALTER SEQUENCE {sequence} RESTART WITH {after:d}"))


def lock(session: Session) -> None:
    """Let one process at a time change who this installation is, until the transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def machine(settings: Settings) -> str:
    """Return a short name for this machine that tells nothing of it.

    A container has no machine id of its own: give it a host name that stays. A checkout's own
    state is bound to no machine, because checkouts travel in images.
    """
    if settings.state_dir.is_relative_to(PROJECT / "var"):
        return "any"
    known = MACHINE_ID.read_text().strip() if MACHINE_ID.exists() else ""
    return hashlib.sha256(f"{known}\0{socket.gethostname()}".encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def _tails(_state_dir: Path) -> Tails:
    return Tails()


_SYSTEMS: dict[str, bool] = {}


def _tells_system(session: Session) -> bool:
    """Return whether this role may ask for the cluster's identifier: by default everyone may."""
    url = str(session.get_bind().engine.url)
    if url not in _SYSTEMS:
        _SYSTEMS[url] = bool(session.scalar(text(_MAY_ASK)))
    return _SYSTEMS[url]


_MAY_ASK = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
_LOOK = """
    SELECT i.key, i.epoch, d.oid::bigint AS database, {system} AS system,
           l.last_value - (NOT l.is_called)::int AS fence,
           w.last_value - (NOT w.is_called)::int AS window,
           x.last_value - (NOT x.is_called)::int AS delivery,
           e.last_value - (NOT e.is_called)::int AS event,
           greatest(
               (SELECT taken_at FROM leases ORDER BY fence DESC LIMIT 1),
               (SELECT at FROM consent_events ORDER BY id DESC LIMIT 1)
           ) AS newest_at
    FROM pg_database d
    CROSS JOIN leases_fence_seq l
    CROSS JOIN windows_id_seq w
    CROSS JOIN deliveries_id_seq x
    CROSS JOIN consent_events_id_seq e
    LEFT JOIN installation i ON true
    WHERE d.datname = current_database()
"""
_WITH_SYSTEM = _LOOK.format(system="(SELECT system_identifier FROM pg_control_system())")
_WITHOUT = _LOOK.format(system="NULL")
