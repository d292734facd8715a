"""Senders killed -9 at each named step."""

import random
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from crm.delivery.models import Mailing
from crm.delivery.service import tally
from devtools.catcher import Sink
from tests.chaos.nursery import Nursery
from tests.chaos.reckoning import reckon
from tests.chaos.steps import NOTHING_IN_DOUBT, STEPS
from tests.delivery.test_faults import bury_at_once

IN_HAND = 2 * 8 + 2 * 4
"""Letters that a sender of four lines has taken and not settled, at most."""
BURIED_AT_ONCE = 0.7
"""How often."""
Launch = Callable[[int], Mailing]


@pytest.mark.parametrize("step", STEPS)
def test_a_sender_killed_at_a_step_doubles_and_loses_nothing(
    session: Session, sink: Sink, campaign: Launch, senders: Nursery, step: str
) -> None:
    campaign(100)
    assert senders.live(step, nth=1) == "killed"
    lost = bury_at_once(session)
    if step in NOTHING_IN_DOUBT:
        assert lost == 0
    assert senders.live(step, nth=3) in ("killed", "ended")
    bury_at_once(session)
    assert senders.live() == "ended"

    counted = reckon(session, sink)
    assert counted.accepted + counted.uncertain == counted.planned == 100
    assert counted.uncertain <= 2 * IN_HAND


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(4))
def test_hundreds_of_kills_double_and_lose_nothing(
    session: Session, sink: Sink, campaign: Launch, senders: Nursery, seed: int
) -> None:
    """Burials come late at times, so that one finds the leases of several."""
    chance = random.Random(seed)
    mailing = campaign(8000)
    kills = 0
    while kills < 100:
        step = chance.choice(list(STEPS))
        how = senders.live(step, nth=1 if step in NOTHING_IN_DOUBT else chance.randint(1, 8))
        assert how in ("killed", "ended"), f"{how} at {step}"
        if how == "ended":
            assert tally(session, mailing.id).queued == 0
            break
        kills += how == "killed"
        if chance.random() < BURIED_AT_ONCE:
            bury_at_once(session)
    bury_at_once(session)
    assert senders.live() == "ended"

    assert kills >= 70, "not enough was tried to say anything"
    counted = reckon(session, sink)
    assert counted.accepted + counted.uncertain == counted.planned == 8000
    assert counted.uncertain <= kills * IN_HAND
    assert counted.accepted > 0
