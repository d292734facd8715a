"""Senders frozen at a step, and woken after their lease was given to another; the gate cut."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.db import STUCK_AFTER_MS
from crm.delivery.models import Mailing
from crm.delivery.states import Mishap
from crm.operations.findings import OVERCOME
from devtools.catcher import Sink
from tests.chaos import leaving, reckoning
from tests.chaos.leaving import Leave
from tests.chaos.nursery import Nursery, nursery
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.chaos.steps import NO_LEASE, NOTHING_IN_DOUBT, STEPS
from tests.delivery.processes import Site
from tests.delivery.test_faults import CUT_SENDERS, bury_at_once

Launch = Callable[[int], Mailing]
QUICK = {"after the lease", "after the journal", "inside the gate", "after a dot", "after 250"}


@pytest.mark.parametrize(
    "step",
    [pytest.param(step, marks=() if step in QUICK else pytest.mark.chaos) for step in STEPS],
)
def test_a_sender_frozen_at_a_step_and_woken_after_its_burial_doubles_nothing(
    session: Session, settings: Settings, sink: Sink, campaign: Launch, senders: Nursery,
    leave: Leave, dots: Path, tmp_path: Path, step: str,
) -> None:  # fmt: skip
    campaign(150)
    nth = 1 if step in NOTHING_IN_DOUBT else 2
    with leave() as people:
        assert senders.live(step, nth=nth, by="SIGSTOP") == "stopped"
        bury_at_once(session)
        with nursery(settings, tmp_path / "others") as others:
            assert others.live() == "ended"
        assert senders.wake() == "ended"

    people.check(reckoning.dots(dots) + reckoning.dots(tmp_path / "others"))
    counted = reckon(session, sink)
    assert counted.accepted + counted.withheld + counted.uncertain == counted.planned == 150
    assert step in NO_LEASE or OVERCOME[Mishap.SENDER_DIED] in said(session, settings)


def test_a_sender_whose_gate_is_cut_between_the_look_and_the_dots_writes_none_of_them(
    session: Session, settings: Settings, sink: Sink, campaign: Launch, senders: Nursery,
    to: Site, dots: Path,
) -> None:  # fmt: skip
    """Sooner than a look grows old: nobody but the connection can tell that the gate is gone."""
    campaign(60)
    people = leaving.doors(session, settings)
    leaving.wake_up(to)
    assert senders.live("inside the gate", nth=2, by="SIGSTOP") == "stopped"
    written = {address for _, address in reckoning.dots(dots)}
    next_one = next(door for door in people if door.address not in written)
    froze = time.monotonic()
    session.execute(text(CUT_SENDERS))
    session.rollback()
    told = leaving.opt_out(to, next_one)
    took_s = time.monotonic() - froze
    assert senders.wake() == "ended"

    assert told.status == 200
    assert told.took_s <= leaving.PROMISED_S
    assert leaving.late([told], reckoning.dots(dots)) == [], f"within {took_s:.3f} s"
    counted = reckon(session, sink)
    assert (counted.withheld, counted.accepted) == (1, counted.planned - 1)
    assert OVERCOME[Mishap.DATABASE_AWAY] in said(session, settings)


@pytest.mark.chaos
def test_a_sender_that_freezes_inside_the_gate_holds_up_the_promise_and_not_the_stop(
    session: Session, settings: Settings, sink: Sink, campaign: Launch, senders: Nursery,
    to: Site, dots: Path,
) -> None:  # fmt: skip
    campaign(60)
    people = leaving.doors(session, settings)
    leaving.wake_up(to)
    assert senders.live("inside the gate", nth=2, by="SIGSTOP") == "stopped"
    written = {address for _, address in reckoning.dots(dots)}
    next_one = next(door for door in people if door.address not in written)
    first = leaving.opt_out(to, next_one)
    time.sleep(STUCK_AFTER_MS / 1000)
    second = leaving.opt_out(to, next_one)
    assert senders.wake() == "ended"

    assert (first.status, second.status) == (202, 200)
    assert max(first.took_s, second.took_s) <= leaving.PROMISED_S
    assert next_one.address not in {address for _, address in reckoning.dots(dots)}
    assert reckon(session, sink).withheld == 1
    assert OVERCOME[Mishap.DATABASE_AWAY] in said(session, settings)
