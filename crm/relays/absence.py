"""Which relays do not answer: written by senders for people to read.

Senders go by their own memory (``choice``) and never read this.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.mail.smtp import Relay
from crm.relays.models import RelayAbsence
from crm.relays.rules import name_of

UNKNOWN_AFTER: Final = timedelta(minutes=15)
"""Without a try for so long, nobody knows: senders with letters in hand try every five minutes."""


def begin(session: Session, relay: Relay, *, because: str, at: datetime) -> None:
    """Write down that a sender has found the relay away; since when is kept from the first."""
    row = {"relay": name_of(relay), "since": at, "tried_at": at, "because": because[:200]}
    added = insert(RelayAbsence).values(row)
    is_new = RelayAbsence.tried_at < at - UNKNOWN_AFTER
    changed = {
        "since": case((is_new, at), else_=RelayAbsence.since),
        "tried_at": added.excluded.tried_at,
        "because": added.excluded.because,
    }
    session.execute(added.on_conflict_do_update(index_elements=["relay"], set_=changed))


def end(session: Session, relay: Relay) -> None:
    """Forget the absence: the relay has answered somebody about a letter."""
    session.execute(
        delete(RelayAbsence)
        .where(RelayAbsence.relay == name_of(relay))
        .execution_options(synchronize_session=False)
    )


def absences(session: Session, *, at: datetime) -> dict[str, RelayAbsence]:
    """Return the relays that do not answer, by name; not what nobody has tried for long."""
    fresh = select(RelayAbsence).where(RelayAbsence.tried_at > at - UNKNOWN_AFTER)
    return {one.relay: one for one in session.scalars(fresh)}
