"""The gate between dots and stops: one PostgreSQL advisory transaction lock.

Senders pass through it shared, a window of recipients at a time. A stop is recorded and committed
first, without the gate; then ``barrier`` takes the gate exclusively in a transaction of its own
and lets go. PostgreSQL serves waiters in order, so a stop is never starved, and every window
that begins after the barrier reads the stop.
"""

from collections.abc import Collection

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from crm.straight import locally, numbers, straight

KEY = 0x0BE7_117E
BARRIER_MS = 1200
"""How long a person waits for the promise "nothing leaves any more": the contract allows 2 s."""


ENTER = f"SELECT pg_advisory_xact_lock_shared({KEY})"
"""To pass shared, until the transaction ends.

Look at consent in a later statement than this: in the same one, or under REPEATABLE READ, the look
would be older than the lock. The engine is ``db.engine_of_a_sender``'s, so that a sender which
freezes in the gate loses it.
"""


TURN = "SELECT coalesce(max(turn), 0) FROM barriers"
"""The newest stop that has passed. Asked after the dots and before the gate is left: while it is
held, none passes."""


def barrier(session: Session, stops: Collection[int] = ()) -> bool:
    """Return whether every window begun before now has ended.

    Call after the stop is committed, with no transaction open; it opens and ends its own, in one
    breath: no sender waits for this process to let go. False means that a sender did not come out
    of the gate in BARRIER_MS: the stop stands all the same, but a letter in that sender's hands
    may still go.

    ``stops`` are the ledger events that it is for; that they have passed is written down.
    """
    passed = [(_PASSED, {"stops": numbers(sorted(stops))})] if stops else []
    try:
        straight(session, _LIMITS, (_PASS, {}), *passed, commit=True)
    except OperationalError:
        session.rollback()
        return False
    return True


_LIMITS = locally(lock_timeout=BARRIER_MS, synchronous_commit="off")
"""Nobody waits at the gate for a disk: whatever letter leaves later is durable after this only."""
_PASS = f"SELECT pg_advisory_xact_lock({KEY})"
_PASSED = """
    INSERT INTO barriers (event_id) SELECT unnest(%(stops)s::bigint[]) ON CONFLICT DO NOTHING
"""
