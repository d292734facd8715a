"""Real workers and a real beat: they say that they live, and beat rings only while it is heard."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.operations import alive
from crm.operations.queues import CROWDED
from tests.delivery.processes import started
from tests.factories import NOON

WITHIN_S = 20.0


@pytest.fixture
def broker(settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(settings.redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()


def beat(place: Path) -> tuple[str, ...]:
    return ("celery", "--quiet", "-A", "worker", "beat", "-s", str(place / "beat"), "-l", "ERROR")


def house() -> tuple[str, ...]:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
    return ("celery", "--quiet", "-A", "worker", "worker", "-Q", "house", "-c", "1", *quiet)


def soon(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + WITHIN_S
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def living(session: Session) -> set[str]:
    session.rollback()
    return {one.kind for one in alive.known(session) if alive.is_alive(one, at=clock.now())}


def test_beat_rings_no_more_once_nobody_hears_and_again_when_somebody_does(
    session: Session, settings: Settings, broker: Redis, tmp_path: Path
) -> None:
    broker.rpush("house", *["{}"] * (CROWDED - 2))
    with started(settings, *beat(tmp_path)) as process:
        assert soon(lambda: broker.llen("house") >= CROWDED)
        time.sleep(2.5)
        assert broker.llen("house") == CROWDED
        assert process.poll() is None
        broker.delete("house")
        assert soon(lambda: 0 < int(broker.llen("house")) < CROWDED)
        assert living(session) == {"beat"}


def test_a_worker_says_that_it_lives_until_it_is_frozen(
    session: Session, settings: Settings, broker: Redis
) -> None:
    with started(settings, *house()) as process:
        assert soon(lambda: living(session) == {"house"})
        said = alive.known(session)[0]
        assert said.pid != process.pid, "a process of the pool, not its parent, does the work"
        os.kill(said.pid, signal.SIGSTOP)
        before = said.beat_at
        time.sleep(1.2 * alive.BEAT_S)
        session.rollback()
        assert alive.known(session)[0].beat_at <= before + timedelta(seconds=alive.BEAT_S)
        os.kill(said.pid, signal.SIGCONT)
        assert soon(lambda: living(session) == {"house"})


def test_processes_long_silent_are_forgotten(session: Session) -> None:
    for pid, days in ((1, 8), (2, 6)):
        at = NOON - timedelta(days=days)
        alive.beat(session, "house", host="one", pid=pid, started_at=at, at=at)
    alive.forget(session, at=NOON)
    assert [one.pid for one in alive.known(session)] == [2]
