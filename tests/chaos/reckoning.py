"""What has to be true after every story."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm import clock
from crm.contacts.models import Address
from crm.delivery import books, close, service
from crm.delivery.models import Delivery, Mailing, Outcome
from crm.delivery.service import Tally
from crm.delivery.states import DeliveryState
from crm.operations import stop_gap
from devtools.catcher import Sink


def reckon(session: Session, sink: Sink) -> Tally:
    """Hold the books of the only mailing, whose letters have ended, against what the sink got."""
    return reckon_with(session, [letter.rcpt for letter in sink.messages()])


def reckon_with(session: Session, received: Collection[str]) -> Tally:
    """Nothing doubled, nothing lost: every planned letter ended, and once at most."""
    session.rollback()
    mailings, wrong = books.unbalanced(session)
    assert wrong == []
    assert mailings == 1
    mailing_id = session.scalars(select(Mailing.id)).one()
    assert len(set(received)) == len(received), "somebody was written to twice"
    arrived = set(received)
    accepted = by_state(session, DeliveryState.ACCEPTED)
    assert accepted <= arrived, "an accepted letter did not arrive"
    assert arrived <= accepted | by_state(session, DeliveryState.UNCERTAIN), "an unknown letter"
    assert not stop_gap.gap(session, since=clock.now() - timedelta(days=1)).proved
    tally = service.tally(session, mailing_id)
    assert tally.settled == tally.planned
    session.rollback()
    close.finish(session, at=clock.now())
    session.commit()
    assert session.get_one(Mailing, mailing_id).certificate, "it does not add up"
    return tally


def by_state(session: Session, state: DeliveryState) -> set[str]:
    """Return to whom letters ended so."""
    rows = session.scalars(
        select(Address.value)
        .join(Delivery, Delivery.address_id == Address.id)
        .join(Outcome, Outcome.delivery_id == Delivery.id)
        .where(Outcome.state == state)
    )
    return {value for value in rows if value}


def dots(log: Path) -> list[tuple[int, str]]:
    """Return when each dot was written, in monotonic nanoseconds, and to whom."""
    lines: Iterable[list[str]] = (line.split() for line in log.read_text().splitlines())
    return [(int(at_ns), recipient) for at_ns, recipient in lines]
