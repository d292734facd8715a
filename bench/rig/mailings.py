"""Launching mailings as the product does, and reading its books."""

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from bench.rig.letter import ENVELOPE, promotion
from bench.rig.processes import wait_for
from crm import clock
from crm.campaigns import audience
from crm.campaigns import service as campaigns
from crm.campaigns.models import Campaign
from crm.config import Settings
from crm.consent.rules import Purpose
from crm.contacts.models import Address
from crm.delivery import service as delivery
from crm.delivery.models import Delivery, Mailing
from crm.staff.models import Staff

SETTLED_S = 60.0


def launched(engine: Engine, settings: Settings, *, to: range | None = None) -> int:
    """Launch a mailing to everybody, or to some by their numbers; return its id. Committed."""
    with Session(engine) as session:
        at = clock.now()
        mailing = _scheduled(session, settings)
        people = audience.people(at=at)
        if to is not None:
            people = people.where(Address.id.between(to.start, to.stop - 1))
        delivery.enlist(session, mailing, people, at=at)
        session.commit()
        return mailing.id


def campaign_due(engine: Engine, settings: Settings) -> int:
    """Write an approved campaign that is due now; return its mailing's id. Committed."""
    with Session(engine) as session:
        mailing = _scheduled(session, settings)
        at = clock.now()
        session.add(
            Campaign(
                name="Осенний осмотр",
                document={},
                created_by=session.scalars(select(Staff.id).limit(1)).one(),
                created_at=at,
                updated_at=at,
                mailing_id=mailing.id,
            )
        )
        session.commit()
        return mailing.id


def launch_due(engine: Engine) -> None:
    """Launch what is due, as the house's tick does; committed like there."""
    with Session(engine) as session:
        while campaigns.launch_next(session, at=clock.now()):
            session.commit()
        session.commit()


def pause(engine: Engine, mailing_id: int) -> None:
    """Pause a mailing."""
    with Session(engine) as session:
        delivery.pause(session, mailing_id)
        session.commit()


def resume(engine: Engine, mailing_id: int) -> None:
    """Let a paused mailing run again."""
    with Session(engine) as session:
        delivery.resume(session, mailing_id)
        session.commit()


def stop(engine: Engine, mailing_id: int) -> None:
    """Stop a mailing, and wait until the house has written down what did not go."""
    with Session(engine) as session:
        delivery.stop(session, mailing_id, at=clock.now())
        session.commit()
    accepted(engine, mailing_id)


def deliveries(engine: Engine, mailing_id: int, address_ids: list[int]) -> list[tuple[int, int]]:
    """Return address and delivery of those among the addresses that the mailing is for."""
    with Session(engine) as session:
        found = session.execute(
            select(Delivery.address_id, Delivery.id).where(
                Delivery.mailing_id == mailing_id, Delivery.address_id.in_(address_ids)
            )
        )
        return [(row.address_id, row.id) for row in found]


def accepted(engine: Engine, mailing_id: int) -> int:
    """Wait until all of a mailing has ended; return how many letters the relay took."""
    tallies: list[delivery.Tally] = []

    def has_ended() -> bool:
        with Session(engine) as session:
            tallies.append(delivery.tally(session, mailing_id))
        return tallies[-1].settled == tallies[-1].planned

    wait_for("the books of the mailing", has_ended, timeout_s=SETTLED_S)
    return tallies[-1].accepted


def _scheduled(session: Session, settings: Settings) -> Mailing:
    at = clock.now()
    return delivery.schedule(
        session, promotion(settings), ENVELOPE, purpose=Purpose.MARKETING, due_at=at, at=at
    )
