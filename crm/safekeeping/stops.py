"""Stops, from the ledger into the journal.

A trigger queues each stop in the transaction that records it, whoever records it, so none can be
forgotten. It is written to the journal after its commit: at once where a person waits for the
answer, by housekeeping otherwise, and later where the journal could not be written.
"""

import base64
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.safekeeping import journal
from crm.safekeeping.journal import JournalAway
from crm.safekeeping.models import Unjournalled
from crm.straight import locally, straight

log = logging.getLogger(__name__)

BATCH = 1000
STATEMENT_MS = 300
"""A person may be waiting."""


def keep(session: Session, settings: Settings, *, at: datetime) -> bool:
    """Write the stops that wait into the journal; return False where that was not possible.

    Call after the commit of a stop, with no transaction open: it opens and ends its own, as
    ``gate.barrier`` does. Nothing is raised: whoever refuses is answered whatever the disk does.
    At most BATCH, the newest first. Two that call at once share the queue; after a crash a stop
    may be in the journal twice, so that nobody waits for the disk to hear that it left the queue.
    """
    local = locally(statement_timeout=STATEMENT_MS, synchronous_commit="off")
    try:
        _local, rows = straight(session, local, (_TAKE, {"most": BATCH}))
        if rows:
            journal.of(settings).write([_record(*row) for row in rows], at=at)
        session.commit()
    except (JournalAway, SQLAlchemyError) as fault:
        with suppress(SQLAlchemyError):  # the connection may have gone
            session.rollback()
        log.warning("stops not journalled", extra={"fault": type(fault).__name__})
        return False
    return True


def waiting(session: Session) -> int:
    """Return how many stops are not in the journal yet."""
    return session.scalar(select(func.count()).select_from(Unjournalled)) or 0


def _record(event_id: int, at: datetime, *what: Any) -> dict[str, Any]:
    act, purpose, channel, token, kind, key = what
    return {
        "kind": "stop",
        "event": event_id,
        "stopped_at": at.astimezone(UTC).isoformat(),
        "act": act,
        "purpose": purpose,
        "channel": channel,
        "address": kind,
        "token": base64.b64encode(token).decode(),
        "key": key,
    }


_TAKE = """
    WITH taken AS (
        DELETE FROM unjournalled WHERE event_id IN (
            SELECT event_id FROM unjournalled
            ORDER BY event_id DESC LIMIT %(most)s FOR UPDATE SKIP LOCKED
        ) RETURNING event_id
    )
    SELECT e.id, e.at, e.act, e.purpose, e.channel, e.token, a.kind, s.key_id
    FROM taken JOIN consent_events e ON e.id = taken.event_id
    JOIN addresses a ON a.id = e.address_id
    LEFT JOIN suppressions s ON s.token = e.token AND s.purpose = e.purpose
    ORDER BY e.id
"""
