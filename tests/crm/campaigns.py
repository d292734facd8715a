"""Campaigns for tests."""

from datetime import datetime
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from crm.campaigns import service
from crm.campaigns.models import Campaign
from crm.delivery.models import Delivery, Lease, Mailing, Outcome, Range, Window
from crm.delivery.states import DeliveryState, Lane, LeaseState
from crm.staff.models import Staff
from tests.factories import NOON, a_member_of_staff

BLOCKS: list[dict[str, Any]] = [
    {"type": "heading", "text": "Осенний осмотр", "level": 1},
    {"type": "text", "html": "<p>{{ greeting }} Запись открыта.</p>"},
    {"type": "medical_warning"},
]


def a_document(*blocks: dict[str, Any], preheader: str = "Запись открыта") -> dict[str, Any]:
    return {"version": 1, "preheader": preheader, "blocks": list(blocks) or BLOCKS}


def a_campaign(
    session: Session,
    *,
    name: str = "Осень",
    subject: str = "Запись на осмотр открыта",
    document: dict[str, Any] | None = None,
    staff: Staff | None = None,
    at: datetime = NOON,
) -> Campaign:
    staff = staff or a_member_of_staff(session, "marketer")
    campaign = Campaign(
        name=name,
        subject=subject,
        document=document or a_document(),
        created_by=staff.id,
        created_at=at,
        updated_at=at,
    )
    session.add(campaign)
    session.commit()
    return campaign


def mailing_of(session: Session, campaign: Campaign) -> Mailing:
    session.expire_all()
    assert campaign.mailing_id is not None
    return session.get_one(Mailing, campaign.mailing_id)


def launch(session: Session, *, at: datetime = NOON) -> None:
    while service.launch_next(session, at=at):
        session.commit()


def deliveries(session: Session, mailing_id: int) -> list[Delivery]:
    return list(
        session.scalars(
            select(Delivery).where(Delivery.mailing_id == mailing_id).order_by(Delivery.id)
        )
    )


def taken(session: Session, *deliveries: Delivery) -> Lease:
    """A sender takes them, and holds them under the lease."""
    first = deliveries[0]
    lease = Lease(
        lane=Lane.BULK, mailing_id=first.mailing_id, provider=first.provider, taken_at=NOON
    )
    session.add(lease)
    session.flush()
    window = Window(
        fence=lease.fence,
        mailing_id=first.mailing_id,
        delivery_ids=[delivery.id for delivery in deliveries],
        tries=[1 for _ in deliveries],
        at=NOON,
    )
    session.add(window)
    for delivery in deliveries:
        piece = session.scalars(
            select(Range).where(
                Range.mailing_id == delivery.mailing_id, Range.next_id <= delivery.id
            )
        ).one()
        piece.next_id, piece.waiting = delivery.id + 1, piece.waiting - 1
        piece.done = piece.waiting == 0
    session.flush()
    return lease


def ended(session: Session, delivery: Delivery, state: DeliveryState, **facts: Any) -> None:
    lease = taken(session, delivery)
    session.execute(delete(Window).where(Window.fence == lease.fence))
    setattr(lease, state.value, 1)
    lease.state = LeaseState.ENDED
    session.add(
        Outcome(
            delivery_id=delivery.id,
            mailing_id=delivery.mailing_id,
            state=state,
            at=facts.pop("at", NOON),
            **facts,
        )
    )
    session.commit()


def approve(
    client: FlaskClient, campaign: Campaign, *, count: int = 1, **typed: Any
) -> TestResponse:
    sent = {"count": count, "revision": campaign.revision, "when": "now", **typed}
    return client.post(f"/campaigns/{campaign.id}/approve", data=sent)


def approved(client: FlaskClient, session: Session, *, count: int = 1) -> Campaign:
    """By clicking. Needs a clinic and somebody willing."""
    campaign = a_campaign(session)
    answer = approve(client, campaign, count=count)
    assert answer.headers.get("Location") == f"/campaigns/{campaign.id}", answer.text
    session.refresh(campaign)
    return campaign
