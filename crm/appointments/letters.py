"""The letters about a visit: one recipient, a neutral subject, no promotion, the fast lane.

They say when and where and link to the patient's page; why somebody comes is never known here.
Source: 323-FZ art. 13, row MED-01.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, get_timezone_location
from sqlalchemy.orm import Session

from crm.appointments.models import Appointment
from crm.clinic.service import details
from crm.config import Settings
from crm.consent.rules import Purpose
from crm.consent.service import refusal_now
from crm.consent.tokens import Right, mint, signer
from crm.contacts.models import Address, Contact
from crm.delivery.letterhead import brand, language, may_write, service_envelope
from crm.delivery.models import Delivery, Mailing, Outcome
from crm.delivery.service import send_one, stop
from crm.delivery.states import MailingState
from crm.letters import templates
from crm.letters.compile import compile_letter
from crm.letters.merge import Kind, greeting


class Subject(StrEnum):
    """What a letter says about the visit."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class Obstacle(StrEnum):
    """Why no letter can be sent: reception has to phone."""

    NO_ADDRESS = "no_address"
    NOT_READY = "not_ready"
    """The clinic's own details are not complete."""
    REFUSED = "refused"
    """Letters to the address came back, or it is blocked."""


_DRAFTS: Final = {
    Subject.PROPOSED: templates.appointment_proposed,
    Subject.CONFIRMED: templates.appointment_confirmed,
    Subject.CANCELLED: templates.appointment_cancelled,
}
_SHORT: Final = "d MMMM, HH:mm"
_LONG: Final = {"ru": "d MMMM, EEEE, HH:mm", "en": "EEEE, d MMMM, HH:mm"}


def short_words(at: datetime, *, zone: str, lang: str) -> str:
    """Return the time as a subject says it: «24 ноября, 10:30»."""
    return format_datetime(at, _SHORT, tzinfo=ZoneInfo(zone), locale=language(lang))


def long_words(at: datetime, *, zone: str, lang: str) -> str:
    """Return the time as a page says it: «24 ноября, вторник, 10:30»."""
    code = language(lang)
    return format_datetime(at, _LONG[code], tzinfo=ZoneInfo(zone), locale=code)


def zone_words(at: datetime, *, zone: str, lang: str) -> str:
    """Return how the zone is called and how far it is from UTC at ``at``: «Москва, UTC+03:00»."""
    there = at.astimezone(ZoneInfo(zone))
    place = get_timezone_location(there, locale=language(lang), return_city=True)
    away = f"{there:%z}"
    return f"{place}, UTC{away[:3]}:{away[3:]}"


def obstacle(
    session: Session, email_id: int | None, *, settings: Settings, at: datetime
) -> Obstacle | None:
    """Return why no letter can go to this address now, or None where one can."""
    address = session.get(Address, email_id) if email_id is not None else None
    if address is None or address.value is None:
        return Obstacle.NO_ADDRESS
    clinic = details(session)
    if not may_write(clinic):
        return Obstacle.NOT_READY
    refused = refusal_now(session, address, Purpose.SERVICE, keys=settings.suppression_keys, at=at)
    return Obstacle.REFUSED if refused else None


def link(appointment: Appointment, settings: Settings) -> str:
    """Return the address of the patient's page for the present proposal."""
    keys = settings.secret_keys
    token = mint(signer(Right.APPOINTMENT, keys), appointment.id, appointment.revision)
    said = "?lang=en" if language(appointment.lang) == "en" else ""
    return f"{settings.public_url}/a/{token}{said}"


def send(
    session: Session,
    about: Subject,
    appointment: Appointment,
    *,
    settings: Settings,
    at: datetime,
) -> Delivery | None:
    """Queue the letter about the appointment as it stands, or return None if none can go.

    What is still waiting of an earlier letter is stopped first: it would tell another time.
    """
    _call_back(session, appointment.delivery_id, at=at)
    if obstacle(session, appointment.email_id, settings=settings, at=at) is not None:
        appointment.delivery_id = None
        return None
    clinic = details(session)
    code = language(appointment.lang)
    draft = _DRAFTS[about](code)
    letter = compile_letter(
        draft.document,
        draft.subject,
        brand=brand(clinic, settings, lang=code),
        kind=Kind.SERVICE,
    )
    delivery = send_one(
        session,
        letter.bind(_values(session, appointment, clinic.zone, settings)),
        service_envelope(clinic),
        address=session.get_one(Address, appointment.email_id),
        contact_id=appointment.contact_id,
        at=at,
    )
    appointment.delivery_id = delivery.id
    return delivery


def _call_back(session: Session, delivery_id: int | None, *, at: datetime) -> None:
    if delivery_id is None or session.get(Outcome, delivery_id) is not None:
        return
    delivery = session.get_one(Delivery, delivery_id)
    mailing = session.get_one(Mailing, delivery.mailing_id, with_for_update=True)
    if mailing.state not in (MailingState.STOPPED, MailingState.FINISHED):
        stop(session, mailing.id, at=at)


def _values(
    session: Session, appointment: Appointment, zone: str, settings: Settings
) -> dict[str, str]:
    if appointment.starts_at is None:
        raise ValueError("an appointment without a time")
    contact = session.get_one(Contact, appointment.contact_id)
    code = language(appointment.lang)
    return {
        "greeting": greeting(
            _printable(contact.first_name), _printable(contact.patronymic), language=code
        ),
        "when": short_words(appointment.starts_at, zone=zone, lang=code),
        "place": appointment.place,
        "page_url": link(appointment, settings),
    }


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in name)
