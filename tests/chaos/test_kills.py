"""Senders killed -9 at each named step."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.delivery import service
from crm.delivery.models import Mailing
from crm.delivery.states import Mishap
from crm.operations.findings import OVERCOME, UNCERTAIN
from devtools.catcher import Sink
from tests.chaos import reckoning
from tests.chaos.leaving import Leave
from tests.chaos.nursery import Nursery
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.chaos.steps import NO_LEASE, NOTHING_IN_DOUBT, STEPS
from tests.delivery.test_faults import bury_at_once

PEOPLE = 5000
IN_HAND = 2 * 8 + 2 * 4
"""Letters that a sender of four lines has taken and not settled, at most."""
BURIED_AT_ONCE = 0.7
"""How often."""
Launch = Callable[[int], Mailing]


@pytest.mark.parametrize("step", STEPS)
def test_a_sender_killed_at_a_step_doubles_and_loses_nothing(
    session: Session, settings: Settings, sink: Sink, campaign: Launch, senders: Nursery,
    leave: Leave, dots: Path, step: str,
) -> None:  # fmt: skip
    campaign(100)
    with leave() as leaving:
        assert senders.live(step, nth=1) == "killed"
        lost = bury_at_once(session)
        if step in NOTHING_IN_DOUBT:
            assert lost == 0
        assert senders.live(step, nth=3) in ("killed", "ended")
        bury_at_once(session)
        assert senders.live() == "ended"

    leaving.check(reckoning.dots(dots))
    counted = reckon(session, sink)
    assert counted.accepted + counted.withheld + counted.uncertain == counted.planned == 100
    assert counted.uncertain <= 2 * IN_HAND
    assert step in NO_LEASE or OVERCOME[Mishap.SENDER_DIED] in said(session, settings)
    assert (UNCERTAIN in said(session, settings)) is bool(counted.uncertain)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(4))
def test_hundreds_of_kills_double_and_lose_nothing(
    session: Session,
    settings: Settings,
    sink: Sink,
    campaign: Launch,
    senders: Nursery,
    dots: Path,
    leave: Leave,
    seed: int,
) -> None:
    """While people leave. Burials come late at times, so that one finds the leases of several."""
    mailing = campaign(PEOPLE)
    with leave(seed) as leaving:
        kills = kill_again_and_again(session, senders, mailing.id, random.Random(seed))
        bury_at_once(session)
        assert senders.live() == "ended"

    assert kills >= 50, "not enough was tried to say anything"
    leaving.check(reckoning.dots(dots))
    counted = reckon(session, sink)
    assert counted.accepted + counted.withheld + counted.uncertain == counted.planned == PEOPLE
    assert counted.uncertain <= kills * IN_HAND
    assert OVERCOME[Mishap.SENDER_DIED] in said(session, settings)
    assert counted.accepted > 0


def kill_again_and_again(
    session: Session, senders: Nursery, mailing_id: int, chance: random.Random
) -> int:
    """Return how many senders were killed before all was sent."""
    kills = 0
    while kills < 75:
        step = chance.choice(list(STEPS))
        how = senders.live(step, nth=1 if step in NOTHING_IN_DOUBT else chance.randint(1, 8))
        assert how in ("killed", "ended"), f"{how} at {step}"
        if how == "ended":
            assert service.tally(session, mailing_id).queued == 0
            break
        kills += 1
        if chance.random() < BURIED_AT_ONCE:
            bury_at_once(session)
    return kills
