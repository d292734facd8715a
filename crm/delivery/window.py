"""Transaction (a): what is known is written down, the next intents are made, under the fence.

Statements over arrays, one for a whole window: at full speed a round trip for each letter would
cost more than sending it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from crm.consent.rules import Reason
from crm.delivery.lease import Fenced, Work
from crm.delivery.models import Retry, Window
from crm.delivery.states import DeliveryState, Lane, MailingState
from crm.mail.refusal import Refusal
from crm.straight import Statement, array, numbers, straight


@dataclass(slots=True)
class Recipient:
    """Whom one letter of a window is for, and what its slots need."""

    delivery_id: int
    window_id: int
    address_id: int
    value: str | None
    """None where the address was destroyed since launch."""
    kind: str
    first_name: str
    patronymic: str
    confirmed_at: datetime | None
    tries: int
    tokens: list[bytes] = field(default_factory=list)
    """Of the address, under every suppression key: what the stop list is asked by."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of one recipient in one window: an end, or a retry."""

    delivery_id: int
    state: DeliveryState
    """QUEUED goes with ``retry_at``."""
    at: datetime
    tries: int
    retry_at: datetime | None = None
    reason: Reason | None = None
    event_id: int | None = None
    turn: int | None = None
    code: int | None = None
    enhanced: str | None = None
    refusal: str | None = None
    reply: str | None = None


def write(
    session: Session, work: Work, results: Sequence[Result], *, closed: Collection[int]
) -> tuple[int, MailingState]:
    """Open transaction (a) under the fence and write down how letters ended.

    The lease's row lock makes this and a watcher's burial follow each other: whatever is written
    in this transaction is either seen by the burial, or never written.

    Args:
        session: with no transaction open.
        work: what is held.
        results: those to be tried again are ``put_back``'s.
        closed: windows all of whose letters have a result.

    Returns how many such transactions this lease has had with this one, and the mailing's state:
    only a hint, since the gate looks at it again.

    Raises:
        Fenced: the lease is dead.

    """
    ended = _ended(results)
    statements: list[Statement] = [(_BEGIN, _sums(ended) | {"fence": work.fence})]
    if ended:
        statements.append((_WRITE, _columns(ended) | {"mailing_id": work.mailing_id}))
    if closed:
        statements.append((_CLOSE, {"ids": numbers(closed)}))
    begun, *_ = straight(session, *statements)
    if not begun:
        raise Fenced(f"lease {work.fence}")
    counted, state = begun[0]
    return counted, MailingState(state)


def settle(session: Session, work: Work, lane: Lane, results: Sequence[Result]) -> None:
    """Write down results under a lease that is no more, in the transaction that ended it."""
    if ended := _ended(results):
        straight(session, (_WRITE, _columns(ended) | {"mailing_id": work.mailing_id}))
    put_back(session, work, lane, results)


def _ended(results: Iterable[Result]) -> list[Result]:
    return [result for result in results if result.state is not DeliveryState.QUEUED]


def _columns(ended: Sequence[Result]) -> dict[str, str]:
    columns = zip(*map(_STORED, ended), strict=True)
    return {name: array(values) for (name, _kind), values in zip(_OUTCOME, columns, strict=True)}


def _sums(ended: Iterable[Result]) -> dict[str, int]:
    sums = Counter[str](result.state for result in ended)
    sums["bounced"] = [result.refusal for result in ended].count(Refusal.NO_SUCH_ADDRESS)
    return {name: sums[name] for name in _SUMMED}


def intend(session: Session, work: Work, *, limit: int, at: datetime) -> list[Recipient]:
    """Make the next recipients of ``work`` a window and return them; none when it is done."""
    values = {"fence": work.fence, "mailing_id": work.mailing_id, "limit": limit, "at": at}
    if work.range_id is not None:
        [rows] = straight(session, (_NEXT_OF_RANGE, values | {"range_id": work.range_id}))
    else:
        [rows] = straight(session, (_NEXT_RETRIES, values))
    return [Recipient(*row) for row in rows]


def put_back(session: Session, work: Work, lane: Lane, results: Sequence[Result]) -> None:
    """Queue again what is to be tried again, each at its own moment."""
    again = [result for result in results if result.state is DeliveryState.QUEUED]
    if again:
        session.execute(
            insert(Retry),
            [
                {
                    "delivery_id": result.delivery_id,
                    "mailing_id": work.mailing_id,
                    "lane": lane,
                    "provider": work.provider,
                    "due_at": result.retry_at,
                    "tries": result.tries,
                    "reply": result.reply,
                    "fence": None,
                }
                for result in again
            ],
        )


def take_back(
    session: Session, work: Work, lane: Lane, *, known: Iterable[int], at: datetime
) -> None:
    """Queue again what this fence has intended, and its holder never heard of.

    For a transaction (a) that was committed while its answer was lost: no body was written.
    """
    held = select(Window.id).where(Window.fence == work.fence, Window.id.not_in(list(known)))
    window_ids = list(session.scalars(held))
    orphans = [one for one in open_intents(session, work.fence) if one.window_id in window_ids]
    again = [
        Result(
            delivery_id=one.delivery_id,
            state=DeliveryState.QUEUED,
            at=at,
            tries=one.tries - 1,
            retry_at=at,
        )
        for one in orphans
    ]
    put_back(session, work, lane, again)
    straight(session, (_CLOSE, {"ids": numbers(window_ids)}))


def open_intents(session: Session, fence: int) -> Sequence[Row[Any]]:
    """Return ``window_id, delivery_id, tries`` of each letter in hand under ``fence``.

    One that has an outcome or a retry is not; nor one that a later window has taken up again.
    """
    return session.execute(_OPEN_INTENTS, {"fence": fence}).all()


_SUMMED = ("accepted", "withheld", "failed", "uncertain", "bounced")
_BEGIN = f"""
    UPDATE leases SET beats = beats + 1, windows = windows + 1,
        {", ".join(f"{name} = leases.{name} + %({name})s" for name in _SUMMED)}
    FROM mailings m
    WHERE leases.fence = %(fence)s AND leases.state = 'live' AND m.id = leases.mailing_id
    RETURNING leases.windows, m.state
"""  # noqa: S608 - constants

_OUTCOME = (
    ("delivery_id", "bigint"),
    ("state", "varchar"),
    ("at", "timestamptz"),
    ("reason", "varchar"),
    ("event_id", "bigint"),
    ("turn", "bigint"),
    ("code", "int"),
    ("enhanced", "varchar"),
    ("refusal", "varchar"),
    ("reply", "varchar"),
)
_NAMES = ", ".join(name for name, _kind in _OUTCOME)
_STORED = attrgetter(*(name for name, _kind in _OUTCOME))
_WRITE = f"""
    INSERT INTO outcomes (mailing_id, {_NAMES})
    SELECT %(mailing_id)s::bigint, {_NAMES}
    FROM unnest({", ".join(f"%({name})s::{kind}[]" for name, kind in _OUTCOME)})
        AS ended ({_NAMES})
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants

_CLOSE = "DELETE FROM windows WHERE id = ANY(%(ids)s::bigint[])"

_PEOPLE = """
    SELECT d.id, made.id, d.address_id, a.value, a.kind, coalesce(c.first_name, ''),
           coalesce(c.patronymic, ''), s.confirmed_at, d.tries
    FROM made CROSS JOIN (SELECT purpose, channel FROM mailings WHERE id = %(mailing_id)s) AS m
    CROSS JOIN d JOIN addresses a ON a.id = d.address_id
    LEFT JOIN contacts c ON c.id = d.contact_id
    LEFT JOIN standings s ON s.address_id = d.address_id AND s.purpose = m.purpose
        AND s.channel = m.channel
    ORDER BY d.id
"""
"""The fields of ``Recipient``, in their order."""

_NEXT_OF_RANGE = f"""
    WITH piece AS (
        SELECT id, mailing_id, next_id, high FROM ranges WHERE id = %(range_id)s AND NOT done
    ), d AS (
        SELECT d.id, d.mailing_id, d.address_id, d.contact_id, 1 AS tries
        FROM piece CROSS JOIN LATERAL (
            SELECT * FROM deliveries d
            WHERE d.id BETWEEN piece.next_id AND piece.high
              AND d.mailing_id + 0 = piece.mailing_id  -- by the key, not by the mailing's index
            ORDER BY d.id LIMIT %(limit)s
        ) AS d
    ), taken AS (
        SELECT max(id) AS last, count(*)::int AS letters FROM d
    ), made AS (
        INSERT INTO windows (fence, mailing_id, delivery_ids, tries, at)
        SELECT %(fence)s::bigint, mailing_id, array_agg(id ORDER BY id),
               array_agg(tries::smallint), %(at)s::timestamptz
        FROM d GROUP BY mailing_id RETURNING id
    ), moved AS (
        UPDATE ranges SET waiting = waiting - letters,
            next_id = coalesce(last, high) + 1, done = coalesce(last, high) >= high
        FROM taken WHERE id = %(range_id)s
    )
    {_PEOPLE}
"""  # noqa: S608 - constants

_NEXT_RETRIES = f"""
    WITH chosen AS (
        SELECT delivery_id FROM retries WHERE fence = %(fence)s ORDER BY due_at, delivery_id
        LIMIT %(limit)s
    ), gone AS (
        DELETE FROM retries USING chosen WHERE retries.delivery_id = chosen.delivery_id
        RETURNING retries.delivery_id, retries.tries + 1 AS tries
    ), d AS (
        SELECT d.id, d.mailing_id, d.address_id, d.contact_id, gone.tries
        FROM gone JOIN deliveries d ON d.id = gone.delivery_id
    ), made AS (
        INSERT INTO windows (fence, mailing_id, delivery_ids, tries, at)
        SELECT %(fence)s::bigint, %(mailing_id)s::bigint, array_agg(id ORDER BY id),
               array_agg(tries::smallint ORDER BY id), %(at)s::timestamptz
        FROM d HAVING count(*) > 0 RETURNING id
    )
    {_PEOPLE}
"""  # noqa: S608 - constants

_OPEN_INTENTS = text("""
    SELECT w.id AS window_id, i.delivery_id, i.tries::int AS tries
    FROM windows w CROSS JOIN LATERAL unnest(w.delivery_ids, w.tries) AS i (delivery_id, tries)
    WHERE w.fence = :fence
      AND NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.delivery_id = i.delivery_id)
      AND NOT EXISTS (SELECT 1 FROM retries r WHERE r.delivery_id = i.delivery_id)
      AND NOT EXISTS (SELECT 1 FROM windows later WHERE later.mailing_id = w.mailing_id
                      AND later.id > w.id AND i.delivery_id = ANY (later.delivery_ids))
""")
