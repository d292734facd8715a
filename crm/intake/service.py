"""Taking a submission in: contact, evidence, request and letter, all or nothing."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from crm.appointments.service import request
from crm.audit.service import note
from crm.clinic.service import details
from crm.config import Settings
from crm.consent.ledger import Matter, Origin, record
from crm.consent.models import ConsentEvent, ConsentText
from crm.consent.rules import Act, Channel, Purpose
from crm.consent.service import current_texts
from crm.contacts.models import Address, Category
from crm.contacts.service import TakenIn, take_in
from crm.errors import CrmError, NotFound, later
from crm.intake import letter
from crm.intake.evidence import Circumstances, of_tick
from crm.intake.models import Form, Submission
from crm.intake.once import Once
from crm.intake.rules import PROCESSING, Filled

POLICY = "policy"


class Closed(CrmError):  # noqa: N818 - like the others in crm.errors
    """The form has no consent text to show, so it may not collect anything."""

    status: ClassVar[int] = 503
    say = later("This form cannot be used right now. Please call the clinic or write to it.")


def find(session: Session, form_key: str) -> Form:
    """Return the form that the site may use. Raises NotFound."""
    form = session.scalar(select(Form).where(Form.key == form_key, Form.active))
    if form is None:
        raise NotFound(say=later("There is no such form. Please call the clinic or write to it."))
    return form


def shown_texts(session: Session, form: Form, *, lang: str, at: datetime) -> list[ConsentText]:
    """Return the texts whose boxes the form shows now. Raises Closed."""
    texts = current_texts(session, form.text_keys, lang=lang, at=at)
    if PROCESSING not in {one.key for one in texts}:
        raise Closed(f"form {form.id}")
    return texts


def policy(session: Session, *, lang: str, at: datetime) -> ConsentText | None:
    """Return the policy in force, which every form links to (152-FZ art. 18.1)."""
    return next(iter(current_texts(session, [POLICY], lang=lang, at=at)), None)


def find_text(session: Session, text_id: int) -> ConsentText:
    """Return any version of any text ever shown. Raises NotFound."""
    found = session.get(ConsentText, text_id)
    if found is None:
        raise NotFound(f"text {text_id}")
    return found


def in_force(
    session: Session, ticked: dict[str, int], *, at: datetime
) -> tuple[dict[str, ConsentText], list[str]]:
    """Return the texts that were ticked, and the keys whose version is unknown or retired."""
    found = session.scalars(
        select(ConsentText).where(
            ConsentText.id.in_(ticked.values()),
            ConsentText.valid_from <= at,
            or_(ConsentText.retired_at.is_(None), ConsentText.retired_at > at),
        )
    )
    by_id = {one.id: one for one in found}
    texts: dict[str, ConsentText] = {}
    for key, text_id in ticked.items():
        one = by_id.get(text_id)
        if one is not None and one.key == key and one.purpose is not None:
            texts[key] = one
    return texts, [key for key in ticked if key not in texts]


def submit(
    session: Session,
    form: Form,
    filled: Filled,
    texts: dict[str, ConsentText],
    came: Circumstances,
    once: Once | None,
    *,
    settings: Settings,
    at: datetime,
) -> Submission:
    """Take a submission in, whole: the caller's commit is what the visitor is thanked for.

    Args:
        session: flushed, not committed.
        form: through which it came.
        filled: what was typed.
        texts: the versions that were ticked, by key, all in force.
        came: where it came from.
        once: what makes a repetition known, if the sender gave anything.
        settings: for keys and links.
        at: now.

    """
    source = f"form:{form.key}"
    person = take_in(
        session,
        filled.name,
        email=filled.email,
        phone=filled.phone,
        category=Category.SITE_USER,
        source=source,
        at=at,
    )
    asked = _record(session, form, person, filled, texts, came, settings=settings, at=at)
    queued = request(
        session,
        kind=form.kind,
        contact_id=person.contact.id,
        email_id=None if person.email is None else person.email.id,
        phone_id=None if person.phone is None else person.phone.id,
        message=filled.message,
        source=source,
        lang=came.lang,
        at=at,
    )
    for event, address in asked:
        letter.offer(session, event, address, lang=came.lang, settings=settings, at=at)
    submission = Submission(
        form_id=form.id,
        contact_id=person.contact.id,
        request_id=queued.id,
        received_at=at,
        idempotency=None if once is None else once.key,
        body_digest=None if once is None else once.digests[0],
    )
    session.add(submission)
    note(
        session,
        "form.submitted",
        at=at,
        actor_id=None,
        subject="contact",
        subject_id=person.contact.id,
        form_id=form.id,
        request_id=queued.id,
        is_new=person.is_new,
    )
    session.flush()
    return submission


def _record(
    session: Session,
    form: Form,
    person: TakenIn,
    filled: Filled,
    texts: dict[str, ConsentText],
    came: Circumstances,
    *,
    settings: Settings,
    at: datetime,
) -> list[tuple[ConsentEvent, Address]]:
    """Write each ticked box into the ledger; return those that wait for a letter to confirm."""
    boxes = {key: texts.get(key) for key in form.text_keys}
    clinic, in_force_policy = details(session), policy(session, lang=came.lang, at=at)
    asked: list[tuple[ConsentEvent, Address]] = []
    for one in texts.values():
        for address, channel in _where(one, person):
            origin = Origin(
                source=f"form:{form.key}",
                contact_id=person.contact.id,
                text_id=one.id,
                evidence=of_tick(
                    one,
                    filled.typed[address.kind.value],
                    came,
                    form_key=form.key,
                    boxes=boxes,
                    policy=in_force_policy,
                    clinic=clinic,
                    at=at,
                ),
            )
            purpose = one.purpose or Purpose.SERVICE
            matter = Matter(address_id=address.id, purpose=purpose, channel=channel)
            keys = settings.suppression_keys
            event = record(session, Act.ASKED, matter, origin, keys=keys, at=at)
            if purpose is Purpose.MARKETING and channel is Channel.EMAIL:
                asked.append((event, address))
    return asked


def _where(one: ConsentText, person: TakenIn) -> list[tuple[Address, Channel]]:
    """Return the addresses that a text is about: promotion its own channel, processing all."""
    email, phone = person.email, person.phone
    if one.purpose is Purpose.SERVICE:
        both = ((email, Channel.EMAIL), (phone, Channel.PHONE))
        return [(address, channel) for address, channel in both if address is not None]
    channel = one.channel or Channel.EMAIL
    address = email if channel is Channel.EMAIL else phone
    return [] if address is None else [(address, channel)]


def lacks_address(one: ConsentText, filled: Filled) -> bool:
    """Return whether a ticked promotion has no address to go to."""
    if one.purpose is not Purpose.MARKETING:
        return False
    return (filled.email if one.channel is Channel.EMAIL else filled.phone) is None
