"""Transaction (b)'s look: what is known of each recipient at the moment before the dots.

It reads columns, never ORM objects: an identity map would answer with what it knew before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from crm.consent import gate
from crm.consent.rules import Bars, Standing
from crm.delivery.states import MailingState
from crm.delivery.window import Recipient
from crm.straight import array, numbers, straight


@dataclass(slots=True, kw_only=True)
class Look:
    """What the look at one recipient found."""

    mailing: MailingState
    fenced: bool
    standing: Standing
    bars: Bars
    grant_event_id: int | None
    """The confirmation that allows."""
    stop_event_id: int | None
    """The stop that forbids."""


Hand = tuple[int, Recipient]
"""A recipient with the fence under which it is in hand."""


def enter_and_look(session: Session, hands: Sequence[Hand]) -> dict[int, Look]:
    """Enter the gate, and return what is known then of each recipient, by delivery.

    The lock, and only in later statements the looks. They hold as long as the lock does: ask
    ``db.is_silent`` before each dot.

    Args:
        session: with no transaction open; the one that this opens is the gate's.
        hands: each recipient in hand.

    """
    values = {
        "ids": numbers(one.delivery_id for _fence, one in hands),
        "addresses": numbers(one.address_id for _fence, one in hands),
        "fences": numbers(fence for fence, _one in hands),
        "held": numbers({fence for fence, _one in hands}),
        "tokens": array(token for _fence, one in hands for token in one.tokens),
    }
    _entered, listed, seen = straight(session, (gate.ENTER, {}), (_LISTED, values), (_LOOK, values))
    entries = {(bytes(token), purpose) for token, purpose in listed}
    recipients = {one.delivery_id: one for _fence, one in hands}
    return {row[0]: _seen(row, recipients[row[0]], entries) for row in seen}


def _seen(row: tuple[Any, ...], one: Recipient, entries: set[tuple[bytes, str]]) -> Look:
    (
        _id, state, purpose, is_live, is_there, is_blocked, grant_event_id, stop_event_id, *standing
    ) = row  # fmt: skip
    return Look(
        mailing=_STATES[state],
        fenced=not is_live,
        standing=Standing(*standing),
        bars=Bars(
            blocked=is_blocked,
            destroyed=not is_there,
            suppressed=bool(entries) and any((token, purpose) in entries for token in one.tokens),
        ),
        grant_event_id=grant_event_id,
        stop_event_id=stop_event_id,
    )


_STATES = {state.value: state for state in MailingState}

_LISTED = """
    SELECT token, purpose FROM suppressions
    WHERE token = ANY(%(tokens)s::bytea[]) AND lifted_at IS NULL
"""

_LOOK = f"""
    WITH held AS MATERIALIZED (
        SELECT l.fence, l.state = 'live' AS is_live, m.state, m.purpose, m.channel
        FROM leases l JOIN mailings m ON m.id = l.mailing_id
        WHERE l.fence = ANY(%(held)s::bigint[])
    )
    SELECT w.id, h.state, h.purpose, h.is_live,
           a.value IS NOT NULL AND a.destroyed_at IS NULL, a.blocked_at IS NOT NULL,
           s.grant_event_id, s.stop_event_id, {", ".join(f"s.{name}" for name in Standing._fields)}
    FROM unnest(%(ids)s::bigint[], %(addresses)s::bigint[], %(fences)s::bigint[])
        AS w (id, address_id, fence)
    JOIN held h ON h.fence = w.fence
    JOIN addresses a ON a.id = w.address_id
    LEFT JOIN standings s ON s.address_id = w.address_id AND s.purpose = h.purpose
        AND s.channel = h.channel
"""  # noqa: S608 - constants
