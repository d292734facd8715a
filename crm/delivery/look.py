"""Transaction (b)'s look: what is known of each recipient at the moment before the dots.

It reads columns, never ORM objects: an identity map would answer with what it knew before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from crm.consent.models import Suppression
from crm.consent.rules import Bars, Purpose, Standing
from crm.delivery.states import LeaseState, MailingState
from crm.delivery.window import Recipient


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


def look(session: Session, hands: Sequence[tuple[int, Recipient]]) -> dict[int, Look]:
    """Return what is known at this moment of each recipient, by delivery.

    Call inside the gate: the statements here must begin after the lock is held.

    Args:
        session: in the gate.
        hands: each recipient with the fence under which it is in hand.

    """
    listed = _listed(session, (one for _fence, one in hands))
    rows = session.execute(
        _LOOK,
        {
            "ids": [one.delivery_id for _fence, one in hands],
            "fences": [fence for fence, _one in hands],
        },
    )
    found = {row.id: row for row in rows}
    return {
        one.delivery_id: _seen(found[one.delivery_id], one, listed)
        for _fence, one in hands
        if one.delivery_id in found
    }


def _seen(row: Row[Any], one: Recipient, listed: set[tuple[bytes, str]]) -> Look:
    return Look(
        mailing=MailingState(row.mailing),
        fenced=row.lease != LeaseState.LIVE,
        standing=Standing(**dict(zip(_STANDING, row, strict=False))),
        bars=Bars(
            blocked=row.blocked_at is not None,
            destroyed=row.destroyed_at is not None or row.value is None,
            suppressed=any((token, row.purpose) in listed for token in one.tokens),
        ),
        grant_event_id=row.grant_event_id,
        stop_event_id=row.stop_event_id,
    )


def _listed(session: Session, recipients: Iterable[Recipient]) -> set[tuple[bytes, str]]:
    """Return the open entries of the stop list, by token and purpose."""
    tokens = [token for one in recipients for token in one.tokens]
    rows = session.execute(
        select(Suppression.token, Suppression.purpose).where(
            Suppression.token.in_(tokens), Suppression.lifted_at.is_(None)
        )
    )
    return {(bytes(token), Purpose(purpose).value) for token, purpose in rows}


_STANDING = [field.name for field in fields(Standing)]
_LOOK = text(f"""
    SELECT {", ".join(f"s.{name}" for name in _STANDING)}, s.grant_event_id, s.stop_event_id,
           d.id, m.state AS mailing, m.purpose, l.state AS lease,
           a.value, a.blocked_at, a.destroyed_at
    FROM unnest(CAST(:ids AS bigint[]), CAST(:fences AS bigint[])) AS w (id, fence)
    JOIN leases l ON l.fence = w.fence
    JOIN deliveries d ON d.id = w.id
    JOIN mailings m ON m.id = d.mailing_id
    JOIN addresses a ON a.id = d.address_id
    LEFT JOIN standings s ON s.address_id = d.address_id AND s.purpose = m.purpose
        AND s.channel = m.channel
""")  # noqa: S608 - constants
