"""How often people get promotional letters: reserved under two keys, so that no race is won.

Of the address, since a family may share it, and of the contact, who may have several.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from crm.clinic.models import Clinic
from crm.delivery.pacing_models import PromotionalDay
from crm.straight import numbers, straight

MONTH: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The clinic's choice."""

    one_a_day: bool
    per_month: int
    """On how many of any 30 days; 0: on all."""


def caps_of(clinic: Clinic) -> Caps:
    return Caps(one_a_day=clinic.one_a_day, per_month=clinic.cap_per_month)


def reserve(session: Session, delivery_ids: Collection[int], *, on: date, caps: Caps) -> set[int]:
    """Give the day of their addresses and contacts to these letters; return whom it withholds.

    A letter in nobody's name has its address's day only. A withheld one has taken nobody's.

    One statement, for transaction (a): after ``pace.take``, and once in it, so that senders lock
    in one order. A letter that has the day already, from an earlier try, keeps it. Ask neither
    for a mailing that is ``uncapped`` nor for a service letter.

    Args:
        session: flushed, not committed.
        delivery_ids: of a window.
        on: today in the clinic's zone.
        caps: the clinic's.

    """
    if not caps.one_a_day and not caps.per_month:
        return set()
    values = {
        "ids": numbers(delivery_ids),
        "on": on,
        "since": on - MONTH,
        "one_a_day": caps.one_a_day,
        "per_month": caps.per_month,
    }
    [capped] = straight(session, (_RESERVE, values))
    return {delivery_id for (delivery_id,) in capped}


def forget(session: Session, *, on: date) -> None:
    """Drop the days that no cap looks at any more."""
    session.execute(delete(PromotionalDay).where(PromotionalDay.on <= on - MONTH))


_PAST = """p."on" > %(since)s AND p."on" <> %(on)s AND p.delivery_id <> d.id"""
_RESERVE = f"""
    WITH letters AS (
        SELECT id, address_id, contact_id,
            greatest((SELECT count(*) FROM promotional_days p
                      WHERE p.address_id = d.address_id AND {_PAST}),
                     (SELECT count(*) FROM promotional_days p
                      WHERE p.contact_id = d.contact_id AND {_PAST})) AS days,
            (SELECT delivery_id FROM promotional_days p
             WHERE p.address_id = d.address_id AND p."on" = %(on)s) AS todays,
            EXISTS (SELECT FROM promotional_days p
                    WHERE p.contact_id = d.contact_id AND p."on" = %(on)s) AS met
        FROM deliveries d WHERE id = ANY(%(ids)s::bigint[])
    ), booked AS (
        INSERT INTO promotional_days (address_id, "on", delivery_id, contact_id)
        SELECT address_id, %(on)s, id, CASE
            WHEN %(one_a_day)s THEN contact_id
            WHEN NOT met AND row_number() OVER (PARTITION BY contact_id ORDER BY id) = 1
            THEN contact_id END
        FROM letters
        WHERE todays IS NULL AND (%(per_month)s = 0 OR days < %(per_month)s)
        ORDER BY contact_id, address_id
        ON CONFLICT DO NOTHING RETURNING delivery_id
    )
    SELECT id FROM letters
    WHERE %(per_month)s > 0 AND days >= %(per_month)s
       OR %(one_a_day)s AND todays IS DISTINCT FROM id
          AND id NOT IN (SELECT delivery_id FROM booked)
"""  # noqa: S608 - constants
"""Days are counted address by address and contact by contact, so that no plan made while the table
was small reads all of it. Senders book in the order of contacts, so that none waits for one that
waits for it; of nobody's letters, in that of addresses. Where several letters a day may go, a
contact's second address has its day by itself: of the contact it is the same day."""
