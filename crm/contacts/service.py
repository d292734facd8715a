"""Taking people in, and finding them by the addresses they gave."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.contacts.models import Address, Category, Contact, ContactAddress, Kind
from crm.contacts.rules import Name, agree
from crm.errors import NotFound
from crm.mail.addresses import Email, Phone, provider_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """Who it was, and the addresses that were given. ``is_new`` where nobody matched."""

    contact: Contact
    email: Address | None
    phone: Address | None
    is_new: bool


def take_in(
    session: Session,
    name: Name,
    *,
    email: Email | None,
    phone: Phone | None,
    category: Category,
    source: str,
    at: datetime,
    created_by: int | None = None,
) -> TakenIn:
    """Return the contact who gave these addresses: a known one, or else a new one.

    Anybody can type anybody's address. So a known contact is never renamed and never gets another
    address from here: it matches only if *every* address given is already theirs and the names do
    not contradict. Otherwise it is another person behind the same address (a family mailbox).

    Args:
        session: flushed, not committed. The addresses' rows stay locked until then, so that two
            submissions at once do not make two contacts.
        name: as typed.
        email: where to write, if given.
        phone: where to call, if given. One of the two must be.
        category: of a new contact; a known one keeps its own.
        source: of a new contact: ``form:<key>``, ``desk``, ``phone``, ``paper``.
        at: now.
        created_by: the member of staff who adds it by hand.

    """
    if email is None and phone is None:
        raise ValueError("a contact needs an address")
    email_row = None if email is None else known_as(session, email, at=at)
    phone_row = None if phone is None else known_as(session, phone, at=at)
    given = [row for row in (email_row, phone_row) if row is not None]
    match = _behind_all(session, given, name)
    contact = match or _added(
        session, name, given, category=category, source=source, at=at, created_by=created_by
    )
    return TakenIn(contact=contact, email=email_row, phone=phone_row, is_new=match is None)


def known_as(session: Session, given: Email | Phone, *, at: datetime) -> Address:
    """Return the row of this address, made if there was none, locked until the transaction ends.

    A destroyed address has no value any more: the same one given again is a new row, and the stop
    list still finds it.
    """
    kind = Kind.EMAIL if isinstance(given, Email) else Kind.PHONE
    provider = provider_of(given.domain) if isinstance(given, Email) else "other"
    session.execute(
        insert(Address)
        .values(
            kind=kind,
            value=given.value,
            display=given.display,
            provider=provider,
            created_at=at,
        )
        .on_conflict_do_nothing(index_elements=["kind", "value"])
    )
    return session.scalars(
        select(Address)
        .where(Address.kind == kind, Address.value == given.value)
        .with_for_update(key_share=True)
    ).one()


def find(session: Session, contact_id: int) -> Contact:
    """Return the contact. Raises NotFound."""
    contact = session.get(Contact, contact_id)
    if contact is None:
        raise NotFound(f"contact {contact_id}")
    return contact


def addresses_of(session: Session, contact_id: int) -> list[Address]:
    """Return where the person can be reached, e-mail first, then in the order of adding."""
    return list(
        session.scalars(
            select(Address)
            .join(ContactAddress, ContactAddress.address_id == Address.id)
            .where(ContactAddress.contact_id == contact_id)
            .order_by(Address.kind, ContactAddress.added_at, Address.id)
        )
    )


def people_behind(session: Session, address_id: int) -> list[Contact]:
    """Return everybody who can be reached there and was not destroyed, oldest first."""
    return list(
        session.scalars(
            select(Contact)
            .join(ContactAddress, ContactAddress.contact_id == Contact.id)
            .where(ContactAddress.address_id == address_id, Contact.destroyed_at.is_(None))
            .order_by(Contact.id)
        )
    )


def name_of(contact: Contact) -> Name:
    """Return what the contact is called, to be compared."""
    return Name(last=contact.last_name, first=contact.first_name, patronymic=contact.patronymic)


def _behind_all(session: Session, given: list[Address], name: Name) -> Contact | None:
    first, *others = given
    elsewhere = [{one.id for one in people_behind(session, row.id)} for row in others]
    for contact in people_behind(session, first.id):
        if all(contact.id in ids for ids in elsewhere) and agree(name_of(contact), name):
            return contact
    return None


def _added(
    session: Session,
    name: Name,
    given: list[Address],
    *,
    category: Category,
    source: str,
    at: datetime,
    created_by: int | None,
) -> Contact:
    contact = Contact(
        last_name=name.last,
        first_name=name.first,
        patronymic=name.patronymic,
        category=category,
        source=source,
        created_at=at,
        created_by=created_by,
    )
    session.add(contact)
    session.flush()
    for row in given:
        session.add(ContactAddress(contact_id=contact.id, address_id=row.id, added_at=at))
    session.flush()
    return contact
