"""A sender's clock that jumps by an hour, both ways."""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.config import Settings
from crm.delivery import service
from crm.delivery.models import Lease, Mailing
from crm.delivery.states import LeaseState
from devtools.catcher import Sink
from tests.chaos.nursery import nursery
from tests.chaos.reckoning import dots as dots_of
from tests.chaos.reckoning import reckon
from tests.delivery.test_faults import all_settled

PER_MINUTE = 1800
BRIM = PER_MINUTE // 30
PEOPLE = 300
BETWEEN_S = 2.5


def test_a_jumping_clock_kills_nothing_and_neither_halts_nor_hastens_a_campaign(
    session: Session, settings: Settings, sink: Sink, campaign: Callable[[int], Mailing], dots: Path
) -> None:
    mailing_id = campaign(PEOPLE).id
    details(session).letters_per_minute = PER_MINUTE
    session.commit()
    jumps = 0
    with nursery(settings, dots, "--stay") as senders:
        began = time.monotonic()
        senders.begin()
        while not all_settled(session, mailing_id):
            time.sleep(BETWEEN_S)
            senders.jump()
            jumps += 1
            assert time.monotonic() - began < 60, service.tally(session, mailing_id)
        assert senders.dismiss() == "ended"

    assert jumps >= 2
    times = [at for at, _ in dots_of(dots)]
    took_s = (max(times) - min(times)) / 1e9
    ahead = (jumps + 1) // 2
    most = BRIM * (1 + ahead) + took_s * PER_MINUTE / 60
    assert most * 1.1 >= PEOPLE, "more than a full bucket for each jump ahead"
    assert reckon(session, sink).accepted == PEOPLE
    assert session.scalars(select(Lease).where(Lease.state == LeaseState.DEAD)).all() == []
