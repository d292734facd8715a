"""Adding and changing people by hand.

An address is never corrected in place: consent belongs to the address it was given from, so a
changed address is another address, linked anew, and the link to the old one goes.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.contacts.models import Address, Category, Contact, ContactAddress, Kind
from crm.contacts.service import known_as
from crm.contacts.typed import health_words
from crm.errors import NotFound, WrongState, later
from crm.mail.addresses import Email, Phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What staff say of a person. There is no field for more: 152-FZ art. 5(5), PUR-03."""

    last_name: str
    first_name: str
    patronymic: str
    category: Category
    email: Email | None
    phone: Phone | None
    note: str


_TEXTS = ("last_name", "first_name", "patronymic", "category", "note")
_CHANGED = later(
    "Someone else changed this contact while you were typing. Nothing has been saved: "
    "open the card anew, compare and repeat."
)
_DESTROYED = later("The data of this person have been destroyed.")


def add(session: Session, details: Details, *, source: str, actor_id: int, at: datetime) -> Contact:
    """Add a person by hand. Without evidence of consent nobody may write to them (SUB-01).

    Args:
        session: flushed, not committed.
        details: what was typed, read.
        source: how it reached us: ``desk``, ``phone`` or ``paper``.
        actor_id: the member of staff.
        at: now.

    """
    contact = Contact(
        last_name=details.last_name,
        first_name=details.first_name,
        patronymic=details.patronymic,
        category=details.category,
        note=details.note,
        source=source,
        created_at=at,
        created_by=actor_id,
    )
    session.add(contact)
    session.flush()
    for read in (details.email, details.phone):
        if read is not None:
            _link(session, contact, read, at=at)
    note(
        session,
        "contact.added",
        at=at,
        actor_id=actor_id,
        subject="contact",
        subject_id=contact.id,
        source=source,
        health_words=len(health_words(details.note)) or None,
    )
    session.flush()
    return contact


def change(
    session: Session,
    contact_id: int,
    details: Details,
    *,
    revision: int,
    actor_id: int,
    at: datetime,
) -> Contact:
    """Change what is known of a person; the audit log names the fields, not their contents.

    Raises:
        NotFound: no such person.
        WrongState: destroyed, or changed since the page with ``revision`` was opened.

    """
    contact = _locked(session, contact_id)
    if contact.destroyed_at is not None:
        raise WrongState(f"contact {contact_id} is destroyed", say=_DESTROYED)
    if contact.revision != revision:
        raise WrongState(f"contact {contact_id} was changed", say=_CHANGED)
    changed = [name for name in _TEXTS if getattr(contact, name) != getattr(details, name)]
    for name in changed:
        setattr(contact, name, getattr(details, name))
    changed += _move(session, contact, Kind.EMAIL, details.email, at=at)
    changed += _move(session, contact, Kind.PHONE, details.phone, at=at)
    if changed:
        contact.revision += 1
        note(
            session,
            "contact.changed",
            at=at,
            actor_id=actor_id,
            subject="contact",
            subject_id=contact.id,
            fields=" ".join(changed),
            health_words=(len(health_words(details.note)) or None) if "note" in changed else None,
        )
    session.flush()
    return contact


def current(session: Session, contact_id: int, kind: Kind) -> Address | None:
    """Return the address of this kind that was given last."""
    return session.scalar(
        select(Address)
        .join(ContactAddress, ContactAddress.address_id == Address.id)
        .where(ContactAddress.contact_id == contact_id, Address.kind == kind)
        .order_by(ContactAddress.added_at.desc(), Address.id.desc())
        .limit(1)
    )


def known(session: Session, read: Email | Phone) -> Address | None:
    """Return the address that was typed, if anybody ever gave it."""
    return session.scalar(
        select(Address).where(Address.kind == _kind(read), Address.value == read.value)
    )


def _locked(session: Session, contact_id: int) -> Contact:
    contact = session.scalar(
        select(Contact)
        .where(Contact.id == contact_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if contact is None:
        raise NotFound(f"contact {contact_id}")
    return contact


def _move(
    session: Session, contact: Contact, kind: Kind, read: Email | Phone | None, *, at: datetime
) -> list[str]:
    before = current(session, contact.id, kind)
    if (before.value if before else None) == (read.value if read else None):
        return []
    if before is not None:
        session.execute(
            delete(ContactAddress).where(
                ContactAddress.contact_id == contact.id, ContactAddress.address_id == before.id
            )
        )
    if read is not None:
        _link(session, contact, read, at=at)
    return [kind.value]


def _link(session: Session, contact: Contact, read: Email | Phone, *, at: datetime) -> None:
    address_id = known_as(session, read, at=at).id
    link = {"contact_id": contact.id, "address_id": address_id, "added_at": at}
    session.execute(
        insert(ContactAddress)
        .values(link)
        .on_conflict_do_update(index_elements=["contact_id", "address_id"], set_={"added_at": at})
    )


def _kind(read: Email | Phone) -> Kind:
    return Kind.EMAIL if isinstance(read, Email) else Kind.PHONE
