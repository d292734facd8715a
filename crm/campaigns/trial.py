"""Test letters: the full promotional letter, to one mailbox of the staff, marked as a test."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.audit.service import note
from crm.campaigns.letter import LANGUAGE, compiled, envelope, sample_values
from crm.campaigns.models import Campaign
from crm.clinic.service import details, missing
from crm.config import Settings
from crm.consent.rules import Purpose, Reason
from crm.consent.service import refusal_now
from crm.contacts.models import Address, ContactAddress, Kind
from crm.delivery import service as delivery
from crm.delivery.models import Delivery
from crm.errors import Invalid, NotReady, later
from crm.letters.templates import as_test
from crm.mail.addresses import Domains, Email, provider_of, read_email
from crm.staff.models import Staff

TESTED = "campaign.tested"
REMEMBERED = 5
_NEVER_SPOKE = frozenset({Reason.NEVER_ASKED, Reason.UNCONFIRMED})

_NOT_FOR_PEOPLE = later(
    "A person who may not be written to stands behind this address. Take one of the staff's."
)


class NotForTests(Invalid):
    """A test letter is promotion as well: it must not go around a consent or a refusal."""

    say = _NOT_FOR_PEOPLE


def send(
    session: Session,
    campaign: Campaign,
    typed: str,
    *,
    person: int,
    staff: Staff,
    settings: Settings,
    at: datetime,
) -> Delivery:
    """Queue the letter for ``typed`` on the service lane; it leaves after the commit.

    Raises:
        AddressFault: not an address.
        NotForTests: somebody's who may not get promotion.
        NotReady: the clinic's details are incomplete.
        DocumentFault: the letter is not one yet.

    """
    clinic = details(session)
    if missing(clinic):
        raise NotReady
    email = read_email(typed, domains=Domains.PUBLIC if settings.secure else Domains.WITH_TEST)
    letter = compiled(campaign, clinic, settings)
    address = _address(session, email, at=at)
    _check_allowed(session, address, staff=staff, settings=settings, at=at)
    values = sample_values(person, zone=ZoneInfo(clinic.zone), at=at)
    sent = delivery.send_one(
        session,
        as_test(letter.bind(values), LANGUAGE),
        envelope(campaign.id, clinic),
        address=address,
        contact_id=None,
        at=at,
    )
    note(
        session,
        TESTED,
        at=at,
        actor_id=staff.id,
        subject="campaign",
        subject_id=campaign.id,
        address_id=address.id,
        delivery_id=sent.id,
    )
    return sent


def addresses(session: Session, staff: Staff) -> list[str]:
    """Return where this person may want a test letter: the last typed first, then their own."""
    address_id = AuditEvent.detail["address_id"].as_integer()
    last: ColumnElement[int] = func.max(AuditEvent.id)
    rows = session.execute(
        select(Address.display, last)
        .join(Address, Address.id == address_id)
        .where(
            AuditEvent.actor_id == staff.id,
            AuditEvent.act == TESTED,
            Address.display.is_not(None),
        )
        .group_by(Address.id, Address.display)
        .order_by(last.desc())
        .limit(REMEMBERED)
    )
    typed = [row[0] for row in rows if row[0]]
    return typed if staff.email in typed else [*typed, staff.email]


def _address(session: Session, email: Email, *, at: datetime) -> Address:
    session.execute(
        insert(Address)
        .values(
            kind=Kind.EMAIL,
            value=email.value,
            display=email.display,
            provider=provider_of(email.domain),
            created_at=at,
        )
        .on_conflict_do_nothing()
    )
    return session.scalars(
        select(Address).where(Address.kind == Kind.EMAIL, Address.value == email.value)
    ).one()


def _check_allowed(
    session: Session, address: Address, *, staff: Staff, settings: Settings, at: datetime
) -> None:
    """Let pass a live consent, a mailbox nobody in the contacts has, and one's own."""
    keys = settings.suppression_keys
    reason = refusal_now(session, address, Purpose.MARKETING, keys=keys, at=at)
    if reason is None or address.value == staff.email.lower():
        return
    somebodys = session.scalar(select(exists().where(ContactAddress.address_id == address.id)))
    if somebodys or reason not in _NEVER_SPOKE:
        raise NotForTests
