"""A person's decision that this copy of the installation is the one that sends."""

import uuid
from datetime import datetime
from typing import ClassVar

from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.config import Settings
from crm.errors import CrmError, NotReady, later
from crm.installation.replay import Replayed
from crm.safekeeping import folder, installation, journal
from crm.safekeeping.journal import JournalAway
from crm.safekeeping.models import Installation


class NotHeld(CrmError):  # noqa: N818 - reads as what is the case
    """There is nothing to release."""

    status: ClassVar[int] = 409
    say = later("This installation is not held: it sends already.")


def release(
    session: Session,
    settings: Settings,
    replayed: Replayed,
    *,
    by: int,
    because: str,
    at: datetime,
) -> int:
    """Raise the epoch in the database and in the state folder; return it.

    Flushed, not committed. The folder is written before the caller's commit: a crash between the
    two leaves different epochs, and so a hold. Every other copy is held from now on.

    Raises:
        NotHeld: it may send already.
        NotReady: the state folder cannot be written.

    """
    installation.lock(session)
    if installation.verdict(session, settings, at=at) is None:
        raise NotHeld
    found, file = installation.look(session), installation.identity(settings)
    epoch = max(found.epoch, file.epoch if file else 0) + 1
    row = session.get(Installation, 1, populate_existing=True)
    if row is None:
        row = Installation(key=uuid.UUID(file.key) if file else uuid.uuid4(), agreed_at=at)
        session.add(row)
    row.epoch, row.released_at, row.released_by, row.released_because = epoch, at, by, because
    note(
        session,
        "installation.released",
        at=at,
        actor_id=by,
        epoch=epoch,
        stops=replayed.stops,
        letters=replayed.letters.total(),
        mailings=len(replayed.letters),
    )
    session.flush()
    installation.start_above(session, replayed.marks)
    try:
        journal.of(settings).write([{"kind": "release", "epoch": epoch}], at=at)
        installation.write_identity(settings, key=row.key, epoch=epoch, found=found)
        folder.remove(settings.state_dir / installation.HELD)
    except OSError as error:
        raise NotReady(say=JournalAway.say) from error
    return epoch
