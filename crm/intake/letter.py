"""The double opt-in letter: neutral, without promotion, once a day to an address at most."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.audit.service import note
from crm.clinic.models import Clinic
from crm.clinic.service import details
from crm.config import Settings
from crm.consent.models import ConsentEvent
from crm.consent.rules import Purpose
from crm.consent.service import refusal_now
from crm.consent.tokens import Right, mint, signer
from crm.contacts.models import Address
from crm.delivery.letterhead import brand, may_write, service_envelope
from crm.delivery.models import Delivery
from crm.delivery.service import send_one
from crm.letters.compile import compile_letter
from crm.letters.compiled import CompiledLetter
from crm.letters.footer import Language
from crm.letters.merge import Kind, greeting
from crm.letters.templates import confirm_address

ONCE_IN: Final = timedelta(hours=24)
QUEUED: Final = "confirmation.queued"


def offer(
    session: Session,
    asked: ConsentEvent,
    address: Address,
    *,
    lang: str,
    settings: Settings,
    at: datetime,
) -> Delivery | None:
    """Queue the letter by which the addressee may confirm ``asked``; None where none is due.

    None is due where consent is in force already, where one went within ONCE_IN (whoever types
    somebody's address into forms all day fills no mailbox), and where the clinic's own details
    are not complete. Call after ``asked`` was recorded: its lock makes two at once take turns.
    """
    keys = settings.suppression_keys
    if refusal_now(session, address, Purpose.MARKETING, keys=keys, at=at) is None:
        return None
    clinic = details(session)
    if _went_lately(session, address.id, at=at) or not may_write(clinic):
        return None
    delivery = send_one(
        session,
        _letter(clinic, asked, lang=lang, settings=settings),
        service_envelope(clinic),
        address=address,
        contact_id=asked.contact_id,
        at=at,
    )
    note(
        session,
        QUEUED,
        at=at,
        actor_id=None,
        subject="address",
        subject_id=address.id,
        delivery_id=delivery.id,
    )
    return delivery


def _went_lately(session: Session, address_id: int, *, at: datetime) -> bool:
    lately = exists().where(
        AuditEvent.subject == "address",
        AuditEvent.subject_id == address_id,
        AuditEvent.act == QUEUED,
        AuditEvent.at > at - ONCE_IN,
    )
    return bool(session.scalar(select(lately)))


def _letter(
    clinic: Clinic, asked: ConsentEvent, *, lang: str, settings: Settings
) -> CompiledLetter:
    head = brand(clinic, settings, lang=lang)
    code = head.language
    draft = confirm_address(code)
    letter = compile_letter(draft.document, draft.subject, brand=head, kind=Kind.SERVICE)
    # No name: whoever typed the address may be a stranger to whoever reads the letter.
    return letter.bind(
        {"greeting": greeting("", language=code), "page_url": _link(asked, code, settings)}
    )


def _link(asked: ConsentEvent, code: Language, settings: Settings) -> str:
    token = mint(signer(Right.CONFIRM, settings.secret_keys), asked.id)
    said = "?lang=en" if code == "en" else ""
    return f"{settings.public_url}/o/{token}{said}"
