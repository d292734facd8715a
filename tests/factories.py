"""Plain functions: say what matters to the test, take the rest as given."""

import uuid
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from crm.campaigns import audience
from crm.clinic.models import Clinic
from crm.clinic.service import details
from crm.consent.ledger import Matter, Origin, record
from crm.consent.models import AddressStanding, ConsentEvent, ConsentText
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.texts import publish
from crm.contacts.models import Address, Category, Contact, ContactAddress, Kind
from crm.delivery import service as delivery
from crm.delivery.models import Mailing
from crm.letters.compile import compile_letter
from crm.letters.compiled import CompiledLetter
from crm.letters.footer import Brand
from crm.letters.merge import Kind as LetterKind
from crm.mail.message import Envelope
from crm.staff.models import Role, RoleName, Staff

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
KEYS = ("new-key-" + "n" * 32, "old-key-" + "o" * 32)
_number = count(1)


def a_member_of_staff(session: Session, *roles: str, name: str = "Мария Сергеева") -> Staff:
    known = {role.name: role for role in session.scalars(select(Role))}
    wanted = [known.get(RoleName(role)) or Role(name=RoleName(role)) for role in roles]
    number = next(_number)
    staff = Staff(
        email=f"staff{number}@clinic.example",
        name=name,
        fs_uniquifier=uuid.uuid4().hex,
        created_at=NOON,
        roles=wanted,
    )
    session.add(staff)
    session.flush()
    return staff


def a_clinic(session: Session) -> Clinic:
    clinic = details(session)
    clinic.name = "Клиника «Север»"
    clinic.legal_name = "ООО «Север»"
    clinic.inn = "7899012340"
    clinic.postal_address = "190000, Санкт-Петербург, Речная ул., 12"
    clinic.phone = "+78120000000"
    clinic.email = "info@clinic.example"
    clinic.news_email = "news@clinic.example"
    clinic.service_email = "priem@clinic.example"
    clinic.site_url = "https://clinic.example"
    clinic.letters_per_minute = clinic.cap_per_month = 0
    clinic.one_a_day = False
    clinic.quiet_until = clinic.quiet_from
    session.flush()
    return clinic


def an_email(session: Session, value: str | None = None, *, at: datetime = NOON) -> Address:
    value = value or f"person{next(_number)}@mail.example"
    known = session.scalar(select(Address).where(Address.value == value))
    if known is not None:
        return known
    address = Address(kind=Kind.EMAIL, value=value, display=value, created_at=at)
    session.add(address)
    session.flush()
    return address


def a_contact(
    session: Session,
    *,
    email: str | None = None,
    first_name: str = "Анна",
    last_name: str = "Иванова",
    patronymic: str = "Сергеевна",
    at: datetime = NOON,
) -> Contact:
    contact = Contact(
        last_name=last_name,
        first_name=first_name,
        patronymic=patronymic,
        category=Category.SITE_USER,
        source="form:test",
        created_at=at,
    )
    session.add(contact)
    session.flush()
    address = an_email(session, email, at=at)
    session.add(ContactAddress(contact_id=contact.id, address_id=address.id, added_at=at))
    session.flush()
    return contact


def email_of(session: Session, contact: Contact) -> Address:
    return session.scalars(
        select(Address)
        .join(ContactAddress, ContactAddress.address_id == Address.id)
        .where(ContactAddress.contact_id == contact.id, Address.kind == Kind.EMAIL)
    ).one()


def an_event(
    session: Session, act: Act, address: Address, *, at: datetime = NOON, source: str = "form:test"
) -> ConsentEvent:
    matter = Matter(address_id=address.id, purpose=Purpose.MARKETING, channel=Channel.EMAIL)
    return record(session, act, matter, Origin(source=source), keys=KEYS, at=at)


def a_willing_contact(
    session: Session, *, email: str | None = None, first_name: str = "Анна", at: datetime = NOON
) -> Contact:
    contact = a_contact(session, email=email, first_name=first_name, at=at)
    address = email_of(session, contact)
    an_event(session, Act.ASKED, address, at=at)
    an_event(session, Act.CONFIRMED, address, at=at)
    return contact


def consent_texts(session: Session, *, at: datetime = NOON) -> dict[str, ConsentText]:
    """The two texts a form shows, in Russian."""
    processing = publish(
        session,
        key="processing",
        lang="ru",
        purpose=Purpose.SERVICE,
        channel=Channel.EMAIL,
        label="Согласен на обработку персональных данных",
        title="Согласие на обработку персональных данных",
        body="Чтобы ответить на обращение.",
        at=at,
    )
    marketing = publish(
        session,
        key="marketing_email",
        lang="ru",
        purpose=Purpose.MARKETING,
        channel=Channel.EMAIL,
        label="Согласен получать рекламу по электронной почте",
        title="Согласие на получение рекламы",
        body="До отзыва, но не дольше трёх лет.",
        at=at,
    )
    return {"processing": processing, "marketing_email": marketing}


BRAND = Brand(
    name="Клиника «Север»",
    operator="ООО «Север»",
    address="190000, Санкт-Петербург, Речная ул., 12",
    public_url="https://crm.clinic.example",
)
ENVELOPE = Envelope(
    sender_name="Клиника «Север»",
    sender_address="news@clinic.example",
    reply_to="info@clinic.example",
    list_id="news.clinic.example",
    unsubscribe_mailbox="unsubscribe@clinic.example",
)


def a_promotion() -> CompiledLetter:
    blocks = [
        {"type": "heading", "text": "Осенний осмотр", "level": 1},
        {"type": "text", "html": "<p>{{ greeting }} Запись открыта.</p>"},
        {"type": "medical_warning"},
    ]
    document = {"version": 1, "preheader": "Запись открыта", "blocks": blocks}
    return compile_letter(
        document, "Запись на осмотр открыта", brand=BRAND, kind=LetterKind.PROMOTIONAL
    )


def a_running_mailing(session: Session, *, at: datetime = NOON) -> Mailing:
    """To everybody willing."""
    mailing = delivery.schedule(
        session, a_promotion(), ENVELOPE, purpose=Purpose.MARKETING, due_at=at, at=at
    )
    delivery.enlist(session, mailing, audience.people(at=at), at=at)
    return mailing


def many_willing_contacts(session: Session, how_many: int, *, at: datetime = NOON) -> None:
    """As ``a_willing_contact``, by the thousand: the standing alone, without the ledger."""
    numbers = range(how_many)
    contacts = session.scalars(
        insert(Contact).returning(Contact.id),
        [
            {
                "last_name": "Иванова",
                "first_name": "Анна",
                "patronymic": "Сергеевна",
                "category": Category.SITE_USER,
                "source": "form:test",
                "note": "",
                "created_at": at,
            }
            for _ in numbers
        ],
    ).all()
    addresses = session.scalars(
        insert(Address).returning(Address.id),
        [
            {
                "kind": Kind.EMAIL,
                "value": f"one{number}@mail.example",
                "display": f"one{number}@mail.example",
                "provider": "other",
                "created_at": at,
            }
            for number in numbers
        ],
    ).all()
    session.execute(
        insert(ContactAddress),
        [
            {"contact_id": contact, "address_id": address, "added_at": at}
            for contact, address in zip(contacts, addresses, strict=True)
        ],
    )
    session.execute(
        insert(AddressStanding),
        [
            {
                "address_id": address,
                "purpose": Purpose.MARKETING,
                "channel": Channel.EMAIL,
                "asked_at": at,
                "confirmed_at": at,
            }
            for address in addresses
        ],
    )
