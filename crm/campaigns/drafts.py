"""Writing a campaign: new, copied, saved. A draft that was launched is never written again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.audit.service import note
from crm.campaigns.letter import first_document, pictures_unknown
from crm.campaigns.models import Campaign
from crm.campaigns.rules import NameFault, name_of_copy, read_name
from crm.errors import NotFound, WrongState, later
from crm.letters.blocks import Document, DocumentFault, Fault
from crm.letters.merge import Kind
from crm.letters.reading import read_document, read_subject

EDITED = "campaign.edited"


class Stale(WrongState):
    """Somebody saved after this page was opened; ``revision`` is theirs."""

    say = later(
        "This letter was saved in another window or by somebody else. Yours is not lost: choose "
        "which one stays."
    )

    def __init__(self, revision: int) -> None:
        super().__init__()
        self.revision = revision


class Locked(WrongState):
    """The campaign was launched: its letter is frozen."""

    say = later("This campaign was approved, and its letter does not change any more. Copy it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A draft as it came from a page, nothing of it checked."""

    name: object
    subject: object
    document: object


def start(session: Session, name: str, subject: str, *, staff_id: int, at: datetime) -> Campaign:
    """Return a new campaign with a letter to write over."""
    campaign = Campaign(
        name=name,
        subject=subject,
        document=first_document(),
        created_by=staff_id,
        created_at=at,
        updated_at=at,
    )
    session.add(campaign)
    session.flush()
    note(
        session,
        "campaign.created",
        at=at,
        actor_id=staff_id,
        subject="campaign",
        subject_id=campaign.id,
    )
    return campaign


def copy(
    session: Session, original: Campaign, *, mark: str, staff_id: int, at: datetime
) -> Campaign:
    """Return a draft with the letter of ``original``; ``mark`` tells the names apart."""
    campaign = Campaign(
        name=name_of_copy(original.name, mark),
        subject=original.subject,
        document=original.document,
        created_by=staff_id,
        created_at=at,
        updated_at=at,
    )
    session.add(campaign)
    session.flush()
    note(
        session,
        "campaign.copied",
        at=at,
        actor_id=staff_id,
        subject="campaign",
        subject_id=campaign.id,
        original_id=original.id,
    )
    return campaign


def save(
    session: Session,
    campaign_id: int,
    typed: Typed,
    *,
    revision: int,
    staff_id: int,
    at: datetime,
) -> Campaign:
    """Store the draft, cleaned; the campaign's revision goes up by one.

    Args:
        session: flushed, not committed.
        campaign_id: a draft.
        typed: whatever the page sent.
        revision: the one that the page was made from.
        staff_id: who saves.
        at: now.

    Raises:
        DocumentFault: with every place that needs correcting; nothing is stored.
        Stale: somebody saved in between; nothing is stored.
        Locked: launched already.

    """
    name, subject, document = _read(typed)
    campaign = locked(session, campaign_id)
    if campaign.mailing_id is not None:
        raise Locked
    if campaign.revision != revision:
        raise Stale(campaign.revision)
    campaign.name, campaign.subject, campaign.document = name, subject, document.to_json()
    campaign.revision += 1
    campaign.updated_at = at
    _note_edit(session, campaign.id, staff_id=staff_id, at=at)
    session.flush()
    return campaign


def locked(session: Session, campaign_id: int) -> Campaign:
    """Return the campaign as it is now, its row locked until the commit. Raises NotFound."""
    campaign = session.scalars(
        select(Campaign)
        .where(Campaign.id == campaign_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if campaign is None:
        raise NotFound(f"campaign {campaign_id}")
    return campaign


def _read(typed: Typed) -> tuple[str, str, Document]:
    faults: list[Fault] = []
    name, subject, document = "", "", Document("", ())
    try:
        name = read_name(typed.name)
    except NameFault as fault:
        faults.append(Fault("name", fault.say))
    try:
        subject = read_subject(typed.subject, Kind.PROMOTIONAL)
    except DocumentFault as fault:
        faults += fault.faults
    try:
        document = read_document(typed.document, Kind.PROMOTIONAL)
        faults += pictures_unknown(document)
    except DocumentFault as fault:
        faults += fault.faults
    if faults:
        raise DocumentFault(faults)
    return name, subject, document


def _note_edit(session: Session, campaign_id: int, *, staff_id: int, at: datetime) -> None:
    """Write down who edits, once for a run of saves: autosave would fill the log."""
    last = session.execute(
        select(AuditEvent.act, AuditEvent.actor_id)
        .where(AuditEvent.subject == "campaign", AuditEvent.subject_id == campaign_id)
        .order_by(AuditEvent.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None or tuple(last) != (EDITED, staff_id):
        note(
            session,
            EDITED,
            at=at,
            actor_id=staff_id,
            subject="campaign",
            subject_id=campaign_id,
        )
