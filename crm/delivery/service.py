"""What staff and other features do to mailings: schedule, enlist, pause, resume, stop, count."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    any_,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from crm.consent.rules import Purpose, Reason
from crm.contacts.models import Address
from crm.delivery.models import HELD_LIMIT, Delivery, Mailing, Outcome, Range, Window
from crm.delivery.rules import RANGE_SIZE, RANGES, WINDOW
from crm.delivery.states import DeliveryState, Lane, MailingState
from crm.errors import NotFound, WrongState
from crm.letters.compiled import CompiledLetter
from crm.mail.message import Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A mailing counted from its rows. ``planned`` is the sum of all the rest."""

    planned: int
    queued: int
    sending: int
    accepted: int
    withheld: int
    failed: int
    uncertain: int
    reasons: dict[Reason, int]

    @property
    def settled(self) -> int:
        """Return how many have ended, one way or another."""
        return self.accepted + self.withheld + self.failed + self.uncertain


def find(session: Session, mailing_id: int) -> Mailing:
    """Return the mailing. Raises NotFound."""
    mailing = session.get(Mailing, mailing_id)
    if mailing is None:
        raise NotFound(f"mailing {mailing_id}")
    return mailing


def schedule(
    session: Session,
    letter: CompiledLetter,
    envelope: Envelope,
    *,
    purpose: Purpose,
    due_at: datetime,
    at: datetime,
    per_minute: int | None = None,
) -> Mailing:
    """Freeze a letter as a mailing that the worker will launch when it is due."""
    mailing = Mailing(
        purpose=purpose,
        lane=Lane.BULK,
        state=MailingState.SCHEDULED,
        letter=letter.to_json(),
        envelope=envelope.to_json(),
        due_at=due_at,
        created_at=at,
        per_minute=per_minute,
    )
    session.add(mailing)
    session.flush()
    return mailing


def send_one(
    session: Session,
    letter: CompiledLetter,
    envelope: Envelope,
    *,
    address: Address,
    contact_id: int | None,
    at: datetime,
) -> Delivery:
    """Queue one service letter on the fast lane. It leaves after the caller's commit."""
    mailing = Mailing(
        purpose=Purpose.SERVICE,
        lane=Lane.SERVICE,
        state=MailingState.RUNNING,
        letter=letter.to_json(),
        envelope=envelope.to_json(),
        due_at=at,
        created_at=at,
        launched_at=at,
        planned=1,
    )
    session.add(mailing)
    session.flush()
    delivery = Delivery(
        mailing_id=mailing.id,
        address_id=address.id,
        contact_id=contact_id,
        provider=address.provider,
    )
    session.add(delivery)
    session.flush()
    session.add(
        Range(
            mailing_id=mailing.id,
            lane=Lane.SERVICE,
            provider=address.provider,
            low=delivery.id,
            high=delivery.id,
            next_id=delivery.id,
            waiting=1,
        )
    )
    session.flush()
    return delivery


def enlist(session: Session, mailing: Mailing, people: Select[Any], *, at: datetime) -> int:
    """Write a delivery for each of ``people`` and start the mailing; return how many they are.

    Args:
        session: flushed, not committed.
        mailing: scheduled, its row locked by the caller.
        people: selects ``address_id, contact_id, provider``, an address once at most.
        at: the moment of launch.

    """
    chosen = people.subquery()
    rows = select(
        literal(mailing.id), chosen.c.address_id, chosen.c.contact_id, chosen.c.provider
    ).order_by(chosen.c.provider, chosen.c.address_id)
    columns = ["mailing_id", "address_id", "contact_id", "provider"]
    writing = insert(Delivery).from_select(columns, rows)
    counting = {"preserve_rowcount": True}
    written = session.connection().execute(writing, execution_options=counting).rowcount
    size = min(RANGE_SIZE, max(WINDOW, written // RANGES))
    cut = session.execute(_CUT_INTO_RANGES, {"mailing_id": mailing.id, "size": size})
    planned: int = cut.scalar_one()
    mailing.planned, mailing.state, mailing.launched_at = planned, MailingState.RUNNING, at
    session.flush()
    return planned


_CUT_INTO_RANGES = text("""
    WITH cut AS (
        INSERT INTO ranges (mailing_id, lane, provider, low, high, next_id, waiting, done)
        SELECT mailing_id, 'bulk', provider, min(id), max(id), min(id), count(*), false
        FROM (
            SELECT id, mailing_id, provider,
                   (row_number() OVER (PARTITION BY provider ORDER BY id) - 1) / :size AS piece
            FROM deliveries WHERE mailing_id = :mailing_id
        ) AS numbered
        GROUP BY mailing_id, provider, piece ORDER BY min(id)
        RETURNING waiting
    )
    SELECT COALESCE(sum(waiting), 0) FROM cut
""")


def pause(session: Session, mailing_id: int) -> None:
    """Pause a running mailing. Raises WrongState. After the commit comes ``gate.barrier``."""
    _move(session, mailing_id, {MailingState.RUNNING}, MailingState.PAUSED)


def hold(session: Session, mailing_id: int, because: str) -> None:
    """Pause a running campaign by the system's own decision; ``because`` is shown to staff.

    No service letter: no page shows one that is held, so nobody would ever let it go on.
    """
    session.execute(
        update(Mailing)
        .where(
            Mailing.id == mailing_id,
            Mailing.state == MailingState.RUNNING,
            Mailing.lane == Lane.BULK,
        )
        .values(state=MailingState.HELD, held_because=because[:HELD_LIMIT])
    )


def resume(session: Session, mailing_id: int) -> None:
    """Let a paused or held mailing run again. Raises WrongState."""
    _move(session, mailing_id, {MailingState.PAUSED, MailingState.HELD}, MailingState.RUNNING)


def stop(session: Session, mailing_id: int, *, at: datetime) -> list[int]:
    """Stop a mailing for good; return its id and those of the mailings that stop with it.

    What sends its uncertain letters again is the same letter, and stops too. Raises WrongState.
    After the commit comes ``gate.barrier``. Housekeeping then writes down that the rest was
    withheld (``close.wind_down``).
    """
    unended = set(MailingState) - {MailingState.STOPPED, MailingState.FINISHED}
    _move(session, mailing_id, unended, MailingState.STOPPED)
    # Later than the row's lock: whoever was sending letters of it again has committed by now.
    return sorted(session.scalars(_STOP_ALL, {"mailing_id": mailing_id, "at": at}))


_STOP_ALL = text("""
    WITH RECURSIVE stopping AS (
        SELECT id FROM mailings WHERE id = :mailing_id
        UNION SELECT m.id FROM mailings m JOIN stopping s ON m.resends_id = s.id
    ), locked AS (
        SELECT id FROM mailings WHERE id IN (SELECT id FROM stopping)
        ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE mailings SET state = 'stopped', held_because = NULL, ended_at = :at
    FROM locked WHERE mailings.id = locked.id
        AND (mailings.id = :mailing_id OR mailings.state NOT IN ('stopped', 'finished'))
    RETURNING mailings.id
""")


def _move(
    session: Session, mailing_id: int, before: set[MailingState], after: MailingState
) -> None:
    moved = session.scalar(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state.in_(before))
        .values(state=after, held_because=None)
        .returning(Mailing.id)
    )
    if moved is None:
        raise WrongState(f"mailing {find(session, mailing_id).id} cannot become {after.value}")


def tally(session: Session, mailing_id: int) -> Tally:
    """Count a mailing in one snapshot, each state by itself, from the sums beside its rows."""
    counted = session.execute(_COUNT, {"mailing_id": mailing_id}).mappings().one()
    reasons = session.execute(
        select(Outcome.reason, func.count())
        .where(Outcome.mailing_id == mailing_id, Outcome.state == DeliveryState.WITHHELD)
        .group_by(Outcome.reason)
    )
    return Tally(
        **{name: int(value) for name, value in counted.items()},
        reasons={reason: count for reason, count in reasons if reason is not None},
    )


_COUNT = text("""
    SELECT COALESCE((SELECT planned FROM mailings WHERE id = :mailing_id), 0) AS planned,
           (SELECT COALESCE(sum(waiting), 0) FROM ranges
            WHERE mailing_id = :mailing_id AND NOT done)
         + (SELECT count(*) FROM retries WHERE mailing_id = :mailing_id) AS queued,
           (SELECT count(DISTINCT i.delivery_id)
            FROM windows w CROSS JOIN LATERAL unnest(w.delivery_ids) AS i (delivery_id)
            WHERE w.mailing_id = :mailing_id
              AND (SELECT 1 FROM outcomes o WHERE o.delivery_id = i.delivery_id) IS NULL
              AND (SELECT 1 FROM retries r WHERE r.delivery_id = i.delivery_id) IS NULL
           ) AS sending,
           COALESCE(sum(accepted), 0) AS accepted,
           COALESCE(sum(withheld), 0) AS withheld,
           COALESCE(sum(failed), 0) AS failed,
           COALESCE(sum(uncertain), 0) AS uncertain
    FROM leases WHERE mailing_id = :mailing_id
""")


def is_in_a_window() -> ColumnElement[bool]:
    """Return whether a sender has ``Delivery`` in hand, if it has no outcome and no retry."""
    return exists().where(
        Window.mailing_id == Delivery.mailing_id, Delivery.id == any_(Window.delivery_ids)
    )


def pending_at(session: Session, address_id: int) -> int:
    """Return how many promotional letters to this address are planned and not yet ended."""
    waiting = (
        select(func.count())
        .select_from(Delivery)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .outerjoin(Outcome, Outcome.delivery_id == Delivery.id)
        .where(
            Delivery.address_id == address_id,
            Mailing.purpose == Purpose.MARKETING,
            Outcome.delivery_id.is_(None),
        )
    )
    return session.scalar(waiting) or 0


def last_accepted(session: Session, address_id: int) -> datetime | None:
    """Return when the last promotional letter to this address was taken by the relay."""
    return session.scalar(
        select(func.max(Outcome.at))
        .join(Delivery, Delivery.id == Outcome.delivery_id)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Delivery.address_id == address_id,
            Mailing.purpose == Purpose.MARKETING,
            Outcome.state == DeliveryState.ACCEPTED,
        )
    )
