"""Finding people by what somebody remembers of them: part of a name, number or address."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from crm.contacts.models import Address, Contact, ContactAddress, Kind

LONGEST = 120
"""Characters of a query that are looked at."""
MOST_WORDS = 6


class Reach(StrEnum):
    """How much of an address must be typed to find it.

    Whoever sees addresses masked must know the whole one, or could feel for it letter by letter.
    """

    FRAGMENT = "fragment"
    WHOLE = "whole"


def matching(typed: str, *, reach: Reach) -> ColumnElement[bool]:
    """Return the condition on Contact that ``typed`` stands for; nothing typed is everybody.

    «ё» and «е» are one letter; a number may be typed in any formatting, with 8 or +7.
    """
    text = _tidy(typed)
    if not text:
        return Contact.destroyed_at.is_(None)
    return and_(Contact.destroyed_at.is_(None), _condition(text, reach))


def page_of(
    session: Session,
    where: ColumnElement[bool],
    *,
    after_id: int | None,
    before_id: int | None,
    limit: int,
) -> Sequence[Contact]:
    """Return up to ``limit`` people by name, after or before the person given, in that order.

    An id that is no longer there means the beginning.
    """
    query = select(Contact).where(where).limit(limit)
    place = tuple_(Contact.sort_name, Contact.id)
    edge = _edge(session, after_id or before_id)
    if edge is not None and after_id is None:
        backwards = query.where(place < edge).order_by(Contact.sort_name.desc(), Contact.id.desc())
        return list(reversed(session.scalars(backwards).all()))
    if edge is not None:
        query = query.where(place > edge)
    return session.scalars(query.order_by(Contact.sort_name, Contact.id)).all()


def count(session: Session, where: ColumnElement[bool]) -> int:
    """Return how many people meet the condition."""
    return session.scalar(select(func.count()).select_from(Contact).where(where)) or 0


def addresses_of(session: Session, contact_ids: Iterable[int]) -> dict[int, list[Address]]:
    """Return the addresses of each of these people, in one query; the one given last is first."""
    found: dict[int, list[Address]] = {contact_id: [] for contact_id in contact_ids}
    rows = session.execute(
        select(ContactAddress.contact_id, Address)
        .join(Address, Address.id == ContactAddress.address_id)
        .where(ContactAddress.contact_id.in_(found))
        .order_by(ContactAddress.added_at.desc(), Address.id.desc())
    )
    for contact_id, address in rows:
        found[contact_id].append(address)
    return found


def sharers(session: Session, address_ids: Iterable[int], *, but: int) -> dict[int, list[Contact]]:
    """Return who else is behind each of these addresses, besides the person ``but``."""
    found: dict[int, list[Contact]] = {}
    rows = session.execute(
        select(ContactAddress.address_id, Contact)
        .join(Contact, Contact.id == ContactAddress.contact_id)
        .where(
            ContactAddress.address_id.in_(list(address_ids)),
            Contact.id != but,
            Contact.destroyed_at.is_(None),
        )
        .order_by(Contact.id)
    )
    for address_id, contact in rows:
        found.setdefault(address_id, []).append(contact)
    return found


def _edge(session: Session, contact_id: int | None) -> Any:
    if contact_id is None:
        return None
    row = session.execute(
        select(Contact.sort_name, Contact.id).where(Contact.id == contact_id)
    ).one_or_none()
    return None if row is None else tuple_(*row)


def _tidy(typed: str) -> str:
    printable = "".join(sign if sign.isprintable() else " " for sign in typed[:LONGEST])
    return " ".join(printable.lower().replace("ё", "е").split())


def _condition(text: str, reach: Reach) -> ColumnElement[bool]:
    if "@" in text:
        return _at_address(Kind.EMAIL, [text], reach)
    digits = re.sub(r"\D", "", text)
    if len(digits) >= 2 and re.fullmatch(r"[\d\s()+.,-]+", text):
        return _at_address(Kind.PHONE, _as_stored(digits, reach), reach)
    named = and_(*(_in_name(word) for word in text.split()[:MOST_WORDS]))
    if reach is Reach.FRAGMENT and text.isascii() and " " not in text:
        return or_(named, _at_address(Kind.EMAIL, [text], reach))
    return named


def _in_name(word: str) -> ColumnElement[bool]:
    return Contact.sort_name.contains(word, autoescape=True)


def _as_stored(digits: str, reach: Reach) -> list[str]:
    """Return how the digits may stand in E.164: 8 dialled inside Russia is +7."""
    if reach is Reach.WHOLE:
        national = f"+7{digits[1:]}" if digits.startswith("8") else f"+7{digits}"
        return [f"+{digits}", national]
    return [digits, f"+7{digits[1:]}"] if digits.startswith("8") else [digits]


def _at_address(kind: Kind, wanted: list[str], reach: Reach) -> ColumnElement[bool]:
    if reach is Reach.WHOLE:
        meets: ColumnElement[bool] = Address.value.in_(wanted)
    else:
        meets = or_(*(Address.value.contains(part, autoescape=True) for part in wanted))
    people: Select[Any] = (
        select(ContactAddress.contact_id)
        .join(Address, Address.id == ContactAddress.address_id)
        .where(Address.kind == kind, meets)
    )
    return Contact.id.in_(people)
