"""The letters about visits to come, as they would have left: one mailing each, accepted."""

from datetime import datetime, timedelta
from functools import cache
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.appointments.letters import link, obstacle, short_words
from crm.appointments.models import Appointment, AppointmentState
from crm.clinic.models import Clinic
from crm.config import Settings
from crm.consent.rules import Purpose
from crm.contacts.models import Address, Contact
from crm.delivery.close import certify
from crm.delivery.letterhead import brand, language, service_envelope
from crm.delivery.models import Delivery, Lease, Mailing, Outcome, Range
from crm.delivery.states import DeliveryState, Lane, LeaseState, MailingState
from crm.demo.posted import ACCEPTED_WORDS
from crm.letters import templates
from crm.letters.compile import compile_letter
from crm.letters.compiled import CompiledLetter
from crm.letters.merge import Kind, greeting

_DRAFTS: Final = {
    AppointmentState.CONFIRMED: templates.appointment_confirmed,
    AppointmentState.CANCELLED: templates.appointment_cancelled,
}
"""Every other state that has had a letter has had a proposal."""
_TOOK: Final = timedelta(seconds=1)


def put_notices(session: Session, clinic: Clinic, settings: Settings, *, at: datetime) -> None:
    """Write a letter for each visit to come whose patient can be written to."""

    @cache
    def compiled(state: AppointmentState, lang: str) -> CompiledLetter:
        code = language(lang)
        draft = _DRAFTS.get(state, templates.appointment_proposed)(code)
        head = brand(clinic, settings, lang=code)
        return compile_letter(draft.document, draft.subject, brand=head, kind=Kind.SERVICE)

    to_come = select(Appointment).where(Appointment.starts_at > at - timedelta(days=1))
    for visit in session.scalars(to_come.order_by(Appointment.id)).all():
        if obstacle(session, visit.email_id, settings=settings, at=at) is None:
            letter = compiled(visit.state, visit.lang).bind(
                _values(session, visit, clinic, settings)
            )
            _put(session, visit, letter, clinic, at=visit.proposed_at or at)


def _values(
    session: Session, visit: Appointment, clinic: Clinic, settings: Settings
) -> dict[str, str]:
    contact = session.get_one(Contact, visit.contact_id)
    code = language(visit.lang)
    starts_at = visit.starts_at or visit.created_at
    return {
        "greeting": greeting(contact.first_name, contact.patronymic, language=code),
        "when": short_words(starts_at, zone=clinic.zone, lang=code),
        "place": visit.place,
        "page_url": link(visit, settings),
    }


def _put(
    session: Session, visit: Appointment, letter: CompiledLetter, clinic: Clinic, *, at: datetime
) -> None:
    mailing = Mailing(
        purpose=Purpose.SERVICE,
        lane=Lane.SERVICE,
        state=MailingState.FINISHED,
        letter=letter.to_json(),
        envelope=service_envelope(clinic).to_json(),
        due_at=at,
        created_at=at,
        launched_at=at,
        planned=1,
        ended_at=at + _TOOK,
    )
    session.add(mailing)
    session.flush()
    address = session.get_one(Address, visit.email_id)
    lease = Lease(
        lane=Lane.SERVICE,
        mailing_id=mailing.id,
        provider=address.provider,
        state=LeaseState.ENDED,
        beats=2,
        taken_at=at,
        accepted=1,
    )
    delivery = Delivery(
        mailing_id=mailing.id,
        address_id=address.id,
        contact_id=visit.contact_id,
        provider=address.provider,
    )
    session.add_all([lease, delivery])
    session.flush()
    visit.delivery_id = delivery.id
    session.add_all(_traces(delivery, at=at))
    session.flush()
    mailing.certificate = certify(session, mailing, at=at + _TOOK)


def _traces(letter: Delivery, *, at: datetime) -> list[object]:
    """Return what a sender leaves behind of one accepted letter."""
    mailing_id, delivery_id = letter.mailing_id, letter.id
    return [
        Range(
            mailing_id=mailing_id,
            lane=Lane.SERVICE,
            provider=letter.provider,
            low=delivery_id,
            high=delivery_id,
            next_id=delivery_id + 1,
            waiting=0,
            done=True,
        ),
        Outcome(
            delivery_id=delivery_id,
            mailing_id=mailing_id,
            state=DeliveryState.ACCEPTED,
            at=at + _TOOK,
            code=250,
            reply=ACCEPTED_WORDS,
        ),
    ]
