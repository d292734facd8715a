"""Asking, confirming and stopping; reading where an address stands."""

import calendar
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, null, or_, select
from sqlalchemy.orm import Session

from crm.consent.ledger import Matter, Origin, add, hold, record, standing_of
from crm.consent.models import AddressStanding, ConsentEvent, ConsentText, Suppression
from crm.consent.rules import (
    STOPS,
    Act,
    Bars,
    Channel,
    Purpose,
    Reason,
    Standing,
    refusal,
)
from crm.consent.tokens import suppression_tokens
from crm.contacts.models import Address, Kind
from crm.errors import InvalidToken, NotFound, later

CONFIRM_WITHIN = timedelta(days=7)
"""How long the link of a double opt-in letter confirms."""


def standing(session: Session, matter: Matter) -> Standing:
    """Return where the address stands; an empty standing where nothing was ever said."""
    row = session.get(
        AddressStanding,
        {
            "address_id": matter.address_id,
            "purpose": matter.purpose,
            "channel": matter.channel,
        },
    )
    return standing_of(row)


def bars(session: Session, address: Address, purpose: Purpose, *, keys: tuple[str, ...]) -> Bars:
    """Return what bars the address from ``purpose`` whatever it agreed to."""
    listed = False
    if address.value is not None:
        tokens = suppression_tokens(address.kind, address.value, keys=keys)
        listed = (
            session.scalar(
                select(Suppression.token)
                .where(
                    Suppression.token.in_(tokens),
                    Suppression.purpose == purpose,
                    Suppression.lifted_at.is_(None),
                )
                .limit(1)
            )
            is not None
        )
    return Bars(
        blocked=address.blocked_at is not None,
        destroyed=address.destroyed_at is not None,
        suppressed=listed,
    )


def refusal_now(
    session: Session, address: Address, purpose: Purpose, *, keys: tuple[str, ...], at: datetime
) -> Reason | None:
    """Return why nothing may go to the address now: for pages. Dispatch looks for itself."""
    channel = Channel.EMAIL if address.kind is Kind.EMAIL else Channel.SMS
    matter = Matter(address_id=address.id, purpose=purpose, channel=channel)
    return refusal(
        purpose,
        standing(session, matter),
        bars(session, address, purpose, keys=keys),
        at=at,
    )


def ask(
    session: Session,
    address_id: int,
    text: ConsentText,
    origin: Origin,
    *,
    keys: tuple[str, ...],
    at: datetime,
) -> ConsentEvent:
    """Record that the box of ``text`` was ticked. It allows nothing until confirmed (CON-04)."""
    return record(session, Act.ASKED, _matter(address_id, text), origin, keys=keys, at=at)


def confirm(
    session: Session,
    asked_event_id: int,
    origin: Origin,
    *,
    keys: tuple[str, ...],
    months: int,
    at: datetime,
) -> ConsentEvent:
    """Record that the addressee confirmed what was asked. Twice is harmless.

    Raises:
        InvalidToken: no such request, older than CONFIRM_WITHIN, or overtaken by a stop: a link
            from before a refusal must not undo the refusal.

    """
    asked = still_asked(session, asked_event_id, at=at)
    matter = Matter(address_id=asked.address_id, purpose=asked.purpose, channel=asked.channel)
    return record(
        session,
        Act.CONFIRMED,
        matter,
        Origin(
            source=origin.source,
            contact_id=asked.contact_id,
            text_id=asked.text_id,
            actor_id=origin.actor_id,
            evidence=origin.evidence,
        ),
        keys=keys,
        at=at,
        expires_at=months_later(at, months),
    )


def still_asked(session: Session, asked_event_id: int, *, at: datetime) -> ConsentEvent:
    """Return the request to confirm, if its link still confirms; its standing stays locked.

    Locked until the transaction ends: a stop that comes at the same moment waits, and stands
    after the confirmation, or has come before it, and is seen.

    Raises:
        InvalidToken: see ``confirm``.

    """
    asked = session.get(ConsentEvent, asked_event_id)
    if asked is None or asked.act is not Act.ASKED or asked.at + CONFIRM_WITHIN < at:
        raise InvalidToken(say=later("This link is out of date. Please fill in the form again."))
    row = session.get(
        AddressStanding,
        (asked.address_id, asked.purpose, asked.channel),
        with_for_update=True,
        populate_existing=True,
    )
    stops = [getattr(standing_of(row), name) for name, _reason in STOPS]
    if any(stop is not None and stop >= asked.at for stop in stops):
        raise InvalidToken(say=later("This link is out of date. Please fill in the form again."))
    return asked


def stop(
    session: Session,
    act: Act,
    address_id: int,
    origin: Origin,
    *,
    keys: tuple[str, ...],
    at: datetime,
) -> ConsentEvent:
    """Record a stop of promotion on the address's own channel.

    It is never dated before a confirmation that is already there: clocks of two servers differ,
    and what was confirmed under the faster one must not outlive the stop. After the caller's
    commit comes ``gate.barrier``: only then may anybody be told "done".
    """
    held = hold(session, address_id, Purpose.MARKETING)
    confirmed_at = held.standing.confirmed_at
    if confirmed_at is not None:
        at = max(at, confirmed_at)
    return add(session, held, act, origin, keys=keys, at=at)


def reason_column(purpose: Purpose, *, at: datetime) -> ColumnElement[str | None]:
    """Return ``rules.refusal`` as SQL over Address and an outer-joined AddressStanding.

    For counting an audience. It cannot see the stop list, and need not: an address is in it only
    with a stop in its standing, or without a confirmation since. A test holds the two together.
    """
    row = AddressStanding
    stops = [
        (
            and_(
                getattr(row, name).is_not(None),
                or_(row.confirmed_at.is_(None), getattr(row, name) >= row.confirmed_at),
            ),
            reason.value,
        )
        for name, reason in STOPS
        if purpose is Purpose.MARKETING or reason is Reason.BOUNCED
    ]
    lacking = [
        (and_(row.confirmed_at.is_(None), row.asked_at.is_(None)), Reason.NEVER_ASKED.value),
        (row.confirmed_at.is_(None), Reason.UNCONFIRMED.value),
        (row.expires_at <= at, Reason.EXPIRED.value),
    ]
    return case(
        (Address.destroyed_at.is_not(None), Reason.DESTROYED.value),
        (Address.blocked_at.is_not(None), Reason.BLOCKED.value),
        *stops,
        *(lacking if purpose is Purpose.MARKETING else []),
        else_=null(),
    )


def current_texts(
    session: Session, keys: list[str], *, lang: str, at: datetime
) -> list[ConsentText]:
    """Return the version in force of each text, in the order of ``keys``.

    In Russian where the language lacks one.
    """
    found = session.scalars(
        select(ConsentText)
        .where(
            ConsentText.key.in_(keys),
            ConsentText.lang.in_([lang, "ru"]),
            ConsentText.valid_from <= at,
            or_(ConsentText.retired_at.is_(None), ConsentText.retired_at > at),
        )
        .order_by(ConsentText.version)
    ).all()
    best: dict[str, ConsentText] = {}
    for text in sorted(found, key=lambda one: (one.lang == lang, one.version)):
        best[text.key] = text
    return [best[key] for key in keys if key in best]


def months_later(at: datetime, months: int) -> datetime:
    """Return the same day ``months`` later, or the last day of a shorter month.

    >>> from datetime import UTC
    >>> months_later(datetime(2027, 1, 31, tzinfo=UTC), 1).date().isoformat()
    '2027-02-28'
    """
    years, month0 = divmod(at.month - 1 + months, 12)
    year, month = at.year + years, month0 + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))


def _matter(address_id: int, text: ConsentText) -> Matter:
    if text.purpose is None or text.channel is None:
        raise NotFound(f"text {text.id} asks for nothing")
    return Matter(address_id=address_id, purpose=text.purpose, channel=text.channel)
