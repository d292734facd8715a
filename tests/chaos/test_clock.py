"""Clocks that jump by an hour, both ways: a sender's, and the site's beside it."""

import time
from collections.abc import Callable
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.config import Settings
from crm.delivery import service
from crm.delivery.models import Lease, Mailing
from crm.delivery.states import LeaseState, Mishap
from crm.operations.findings import OVERCOME
from devtools.catcher import Sink
from tests.chaos.leaving import Leaving, doors
from tests.chaos.nursery import nursery
from tests.chaos.reckoning import dots as dots_of
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.chaos.wrong import put_wrong
from tests.delivery.processes import site
from tests.delivery.test_faults import all_settled

PER_MINUTE = 1800
BRIM = PER_MINUTE // 30
PEOPLE = 400
BETWEEN_S = 2.5
JUMPS = (timedelta(hours=-1), timedelta(hours=1), timedelta(0))
"""Of the site, from the true time: while the sender's clock goes ahead, and back, and ahead."""


def test_jumping_clocks_kill_nothing_and_neither_halt_nor_hasten_a_campaign_nor_lose_a_refusal(
    session: Session, settings: Settings, sink: Sink, campaign: Callable[[int], Mailing], dots: Path
) -> None:
    mailing_id = campaign(PEOPLE).id
    details(session).letters_per_minute = PER_MINUTE
    session.commit()
    jumps, wrong = 0, cycle(JUMPS)
    put_wrong(settings.state_dir, timedelta(0))
    with (
        nursery(settings, dots, "--stay") as senders,
        site(settings, "tests.chaos.jumping:app") as to,
        Leaving(to, doors(session, settings)) as leaving,
    ):
        began = time.monotonic()
        senders.begin()
        while not all_settled(session, mailing_id):
            time.sleep(BETWEEN_S)
            senders.jump()
            put_wrong(settings.state_dir, next(wrong))
            jumps += 1
            assert time.monotonic() - began < 60, service.tally(session, mailing_id)
        assert senders.dismiss() == "ended"

    assert jumps >= 2
    dots_written = dots_of(dots)
    leaving.check(dots_written)
    times = [at for at, _ in dots_written]
    took_s = (max(times) - min(times)) / 1e9
    ahead = (jumps + 1) // 2
    most = BRIM * (1 + ahead) + took_s * PER_MINUTE / 60
    assert most * 1.1 >= len(times), "more than a full bucket for each jump ahead"
    counted = reckon(session, sink)
    assert counted.accepted + counted.withheld == PEOPLE
    assert session.scalars(select(Lease).where(Lease.state == LeaseState.DEAD)).all() == []
    assert OVERCOME[Mishap.CLOCK_JUMPED] in said(session, settings)
