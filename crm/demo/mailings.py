"""Writing down the mailings of the past as the engine would have left them."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import groupby
from random import Random
from typing import Final

from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.campaigns.letter import compiled, envelope
from crm.campaigns.models import Campaign
from crm.clinic.models import Clinic
from crm.config import Settings
from crm.consent.rules import Purpose
from crm.delivery.close import certify
from crm.delivery.models import Delivery, Lease, Mailing, Outcome, Range
from crm.delivery.rules import RANGE_SIZE
from crm.delivery.states import DeliveryState, Lane, LeaseState, MailingState
from crm.demo.clinic import PER_MINUTE, morning
from crm.demo.letters import STORIES, Story
from crm.demo.posted import WHILE_PAUSED, Posted, Run, post
from crm.demo.rows import Row, put
from crm.demo.world import World
from crm.staff.models import Staff

BARRIER_MS: Final = 41
"""How long the invented stops waited for the gate."""


def send_all(rng: Random, world: World, *, staff_id: int, at: datetime) -> dict[Story, Run]:
    """Run every campaign of the past through the world, oldest first; nothing is written yet."""
    runs: dict[Story, Run] = {}
    next_id = 1
    for story in STORIES:
        if story.days_ago is None:
            continue
        run = Run(
            launched_at=_workday(at - timedelta(days=story.days_ago), story.hour),
            per_minute=PER_MINUTE,
            paused_after=story.paused_after,
            stopped_after=story.stopped_after,
            broken_after=story.broken_after,
        )
        next_id = post(rng, world, run, first_id=next_id, staff_id=staff_id, at=at)
        runs[story] = run
    return runs


def put_campaigns(
    session: Session,
    runs: dict[Story, Run],
    *,
    author: Staff,
    clinic: Clinic,
    settings: Settings,
    at: datetime,
) -> None:
    """Write campaigns, drafts too, and what became of each letter."""
    for number, story in enumerate(STORIES):
        run = runs.get(story)
        written_at = (
            run.launched_at - timedelta(hours=20) if run else at - timedelta(hours=3 + number)
        )
        campaign = _campaign(session, story, author=author, at=written_at)
        if run is not None:
            _freeze(session, campaign, run, author=author, clinic=clinic, settings=settings)
            _tell(session, campaign, run, staff_id=author.id)


def _workday(day: datetime, hour: int) -> datetime:
    begins = morning(day, hour)
    return begins - timedelta(days=max(0, begins.weekday() - 4))


def _campaign(session: Session, story: Story, *, author: Staff, at: datetime) -> Campaign:
    campaign = Campaign(
        name=story.name,
        subject=story.subject,
        document=story.document,
        created_by=author.id,
        created_at=at,
        updated_at=at + timedelta(minutes=25),
        revision=4,
    )
    session.add(campaign)
    session.flush()
    for act, minutes in (("campaign.created", 0), ("campaign.edited", 4)):
        note(
            session,
            act,
            at=at + timedelta(minutes=minutes),
            actor_id=author.id,
            subject="campaign",
            subject_id=campaign.id,
        )
    return campaign


def _freeze(
    session: Session,
    campaign: Campaign,
    run: Run,
    *,
    author: Staff,
    clinic: Clinic,
    settings: Settings,
) -> None:
    is_stopped = run.stopped_after is not None
    mailing = Mailing(
        purpose=Purpose.MARKETING,
        lane=Lane.BULK,
        state=MailingState.STOPPED if is_stopped else MailingState.FINISHED,
        letter=compiled(campaign, clinic, settings).to_json(),
        envelope=envelope(campaign.id, clinic).to_json(),
        due_at=run.launched_at,
        created_at=run.launched_at - timedelta(minutes=9),
        planned=len(run.letters),
        launched_at=run.launched_at,
        ended_at=run.ended_at,
    )
    session.add(mailing)
    session.flush()
    campaign.mailing_id = mailing.id
    campaign.approved_by, campaign.approved_at = author.id, mailing.created_at
    campaign.approved_count = len(run.letters)
    _put_letters(session, mailing, run.letters)


def _put_letters(session: Session, mailing: Mailing, letters: list[Posted]) -> None:
    put(session, Delivery, [_delivery(letter, mailing.id) for letter in letters])
    ranges: list[Row] = []
    for provider, of_provider in groupby(letters, key=lambda letter: letter.place.provider):
        group = list(of_provider)
        for first in range(0, len(group), RANGE_SIZE):
            piece = group[first : first + RANGE_SIZE]
            ranges.append(_range(mailing.id, provider, piece))
            _put_lease(session, mailing, provider, piece)
    put(session, Range, ranges)
    put(session, Outcome, [_outcome(letter, mailing.id) for letter in letters])
    mailing.certificate = certify(session, mailing, at=mailing.ended_at or mailing.due_at)


def _put_lease(session: Session, mailing: Mailing, provider: str, piece: list[Posted]) -> None:
    ended = Counter(letter.state.value for letter in piece)
    session.add(
        Lease(
            lane=Lane.BULK,
            mailing_id=mailing.id,
            provider=provider,
            state=LeaseState.ENDED,
            beats=len(piece) // 32 + 1,
            taken_at=piece[0].at,
            **ended,
        )
    )


def _delivery(letter: Posted, mailing_id: int) -> Row:
    return {
        "id": letter.id,
        "mailing_id": mailing_id,
        "address_id": letter.place.id,
        "contact_id": letter.contact_id,
        "provider": letter.place.provider,
    }


def _range(mailing_id: int, provider: str, piece: list[Posted]) -> Row:
    return {
        "mailing_id": mailing_id,
        "lane": Lane.BULK,
        "provider": provider,
        "low": piece[0].id,
        "high": piece[-1].id,
        "next_id": piece[-1].id + 1,
        "waiting": 0,
        "fence": None,
        "done": True,
    }


def _outcome(letter: Posted, mailing_id: int) -> Row:
    withheld = letter.state is DeliveryState.WITHHELD
    return {
        "delivery_id": letter.id,
        "mailing_id": mailing_id,
        "state": letter.state,
        "at": letter.at,
        "reason": letter.reason,
        "event_id": letter.decided.id if letter.decided else None,
        "code": None if withheld else letter.code,
        "reply": None if withheld else letter.reply,
    }


def _tell(session: Session, campaign: Campaign, run: Run, *, staff_id: int) -> None:
    """Write the campaign's history into the audit log."""
    launched_at, planned = run.launched_at, len(run.letters)
    acts: list[tuple[datetime, str, int | None, Row]] = [
        (launched_at - timedelta(minutes=9), "campaign.approved", staff_id, {"count": planned}),
        (launched_at, "campaign.launched", None, {"planned": planned}),
    ]
    if run.paused_after is not None:
        paused_at = run.turn(run.paused_after) - WHILE_PAUSED
        halted = _halted(run, run.paused_after, planned - run.paused_after)
        acts += [
            (paused_at, "campaign.paused", staff_id, {}),
            (paused_at, "campaign.halted", staff_id, halted),
            (paused_at + WHILE_PAUSED, "campaign.resumed", staff_id, {}),
        ]
    if run.stopped_after is not None:
        stopped_at = run.turn(run.stopped_after)
        halted = _halted(run, run.stopped_after, planned - run.stopped_after)
        acts += [
            (stopped_at, "campaign.stopped", staff_id, {}),
            (stopped_at, "campaign.halted", staff_id, halted),
        ]
    for at, act, actor_id, detail in acts:
        note(
            session,
            act,
            at=at,
            actor_id=actor_id,
            subject="campaign",
            subject_id=campaign.id,
            **detail,
        )


def _halted(run: Run, gone: int, rest: int) -> Row:
    accepted = sum(letter.state is DeliveryState.ACCEPTED for letter in run.letters[:gone])
    return {
        "stopped": run.stopped_after is not None,
        "passed": True,
        "took_ms": BARRIER_MS,
        "accepted": accepted,
        "wire": 0,
        "rest": rest,
    }
