"""The product's own workers: told to end at full speed, killed, and left without their broker."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.delivery.models import Mailing
from crm.delivery.states import Mishap
from crm.operations.alive import SILENT_AFTER
from crm.operations.findings import BROKER_AWAY, BROKER_FULL, OVERCOME, SILENT
from devtools.catcher import Sink
from tests.chaos.house import House, ring
from tests.chaos.leaving import Leave, Leaving, doors
from tests.chaos.nursery import nursery
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.chaos.servers import Broker, a_place
from tests.delivery.processes import site
from tests.delivery.test_faults import a_due_campaign, bury_at_once, finished, launched, wait_until
from tests.factories import a_clinic, many_willing_contacts

DRAINED_S = 10.0
PEOPLE = 3000
IN_HAND = 2 * 64 + 2 * 32
SENDERS = 2
Launch = Callable[[int], Mailing]


def test_a_worker_told_to_end_at_full_speed_drains_and_leaves_no_doubt(
    session: Session,
    settings: Settings,
    sink: Sink,
    campaign: Launch,
    leave: Leave,
    tmp_path: Path,
) -> None:
    campaign(6000)
    with House(settings, tmp_path) as house, leave() as leaving:
        house.start("bulk")
        ring(settings, SENDERS)
        wait_until(lambda: sink.count() > 500)
        before, began = sink.count(), time.monotonic()
        house.processes["bulk"].send_signal(signal.SIGTERM)
        assert house.processes["bulk"].wait(30) == 0
        took_s = time.monotonic() - began
    assert before < 6000, "there was nothing left to stop"
    assert took_s <= DRAINED_S
    leaving.check([])
    assert bury_at_once(session) == 0, "a sender left a lease behind"
    assert SILENT["bulk"] in said(session, settings, later=2 * SILENT_AFTER)

    with nursery(settings, tmp_path / "rest", "--size", "16") as others:
        assert others.live() == "ended"
    counted = reckon(session, sink)
    assert (counted.accepted + counted.withheld, counted.uncertain) == (6000, 0)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with a_place() as place:
        ours = Broker(place)
        yield ours
        ours.stop()


@pytest.fixture
def away_from(session: Session, settings: Settings, broker: Broker) -> Settings:
    """Settings with a broker of the story's own, and a campaign that is due."""
    a_clinic(session)
    many_willing_contacts(session, PEOPLE, at=clock.now() - timedelta(days=1))
    a_due_campaign(session)
    session.commit()
    return replace(settings, redis_url=broker.start())


def see_it_through(session: Session, sink: Sink, mailing_id: int) -> None:
    wait_until(lambda: finished(session, mailing_id), within_s=120)
    counted = reckon(session, sink)
    assert counted.accepted + counted.withheld + counted.uncertain == counted.planned == PEOPLE
    assert counted.uncertain <= 2 * SENDERS * IN_HAND


def the_mailing(session: Session) -> int:
    return session.query(Mailing).one().id


@pytest.mark.chaos
def test_a_child_and_beat_and_then_everything_killed(
    session: Session, away_from: Settings, sink: Sink, leave: Leave, tmp_path: Path
) -> None:
    """Without beat nobody fills the place of a killed child: the operator's page says so."""
    mailing_id = the_mailing(session)
    with House(away_from, tmp_path) as house:
        house.start("bulk", "house", "beat")
        wait_until(lambda: launched(session, mailing_id))
        with leave() as leaving:
            wait_until(lambda: sink.count() > PEOPLE // 10)
            house.kill_a_child()
            house.kill("beat")
            house.start("beat")
            wait_until(lambda: sink.count() > PEOPLE // 4)
            house.kill("bulk", "house", "beat")
            silent = {SILENT[name] for name in ("bulk", "house", "beat")}
            assert silent <= said(session, away_from, later=2 * SILENT_AFTER)
            house.start("bulk", "house", "beat")
            see_it_through(session, sink, mailing_id)
        leaving.check([])
        assert OVERCOME[Mishap.SENDER_DIED] in said(session, away_from)
        assert not silent & said(session, away_from)


def dies(broker: Broker, house: House, session: Session) -> None:
    """And comes back empty."""
    broker.kill()
    assert BROKER_AWAY in said(session, house.settings)
    time.sleep(3)
    broker.again()
    assert BROKER_AWAY not in said(session, house.settings)


def is_emptied(broker: Broker, house: House, session: Session) -> None:
    """Which nobody needs to hear of: a second later all rings again."""
    with Redis.from_url(broker.start()) as client:
        client.flushall()
    assert said(session, house.settings) == {SILENT["service"]}, "there is none in this house"


def is_full(broker: Broker, house: House, session: Session) -> None:
    """While a sender's place is empty, so that a doorbell is needed."""
    with Redis.from_url(broker.start()) as client:
        client.config_set("maxmemory", 1)
        house.kill_a_child()
        assert BROKER_FULL in said(session, house.settings)
        time.sleep(3)
        client.config_set("maxmemory", 0)
        assert BROKER_FULL not in said(session, house.settings)


@pytest.mark.parametrize(
    "misfortune",
    [
        dies,
        pytest.param(is_emptied, marks=pytest.mark.chaos),
        pytest.param(is_full, marks=pytest.mark.chaos),
    ],
    ids=lambda misfortune: misfortune.__name__,
)
def test_a_broker_that(
    session: Session,
    away_from: Settings,
    broker: Broker,
    sink: Sink,
    tmp_path: Path,
    misfortune: Callable[[Broker, House, Session], None],
) -> None:
    mailing_id = the_mailing(session)
    with House(away_from, tmp_path) as house, site(away_from) as to:
        house.start("bulk", "house", "beat")
        wait_until(lambda: launched(session, mailing_id))
        with Leaving(to, doors(session, away_from)) as leaving:
            wait_until(lambda: sink.count() > PEOPLE // 10)
            misfortune(broker, house, session)
            see_it_through(session, sink, mailing_id)
    leaving.check([])
