"""Senders frozen and killed, brokers emptied, launches doubled: nothing doubled, nothing lost."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from redis import Redis
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from crm import clock
from crm.campaigns import service as campaigns
from crm.campaigns.models import Campaign
from crm.config import Settings
from crm.consent.rules import Purpose
from crm.contacts.models import Address
from crm.db import db
from crm.delivery import close, recover, service
from crm.delivery.dispatch import Sender
from crm.delivery.models import Delivery, Lease, Mailing, Outcome
from crm.delivery.states import DeliveryState, LeaseState
from devtools.catcher import Sink
from tests.delivery.processes import started
from tests.factories import (
    ENVELOPE,
    NOON,
    a_clinic,
    a_member_of_staff,
    a_promotion,
    a_running_mailing,
    many_willing_contacts,
)

SENDERS = 2
IN_HAND = 2 * 64 + 2 * 32
"""Letters that a sender may have taken and not settled: a window that waits, one whose answers have
come, and on each line a letter and the next one's envelope."""


def wait_until(true: Callable[[], bool], *, within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


WRONG = """
    WITH d AS (
        SELECT deliveries.id,
            (SELECT count(*) FROM outcomes o WHERE o.delivery_id = deliveries.id) AS ended,
            (SELECT count(*) FROM retries r WHERE r.delivery_id = deliveries.id) AS waiting,
            (SELECT count(*) FROM windows w JOIN leases l ON l.fence = w.fence
             WHERE deliveries.id = ANY (w.delivery_ids) AND l.state = 'live') AS in_hand,
            (SELECT count(*) FROM ranges g WHERE g.mailing_id = deliveries.mailing_id
             AND deliveries.id BETWEEN g.next_id AND g.high AND NOT g.done) AS untouched
        FROM deliveries WHERE mailing_id = :mailing_id
    )
    SELECT 'ended and waiting' AS what, id::text FROM d WHERE ended > 0 AND waiting > 0
    UNION ALL
    SELECT 'in nobody''s hands', id::text FROM d
    WHERE untouched = 0 AND ended = 0 AND waiting = 0 AND in_hand = 0
    UNION ALL
    SELECT 'begun and untouched', id::text FROM d
    WHERE untouched > 0 AND (ended > 0 OR waiting > 0 OR in_hand > 0)
    UNION ALL
    SELECT 'planned', count(*)::text FROM d
    HAVING count(*) <> (SELECT planned FROM mailings WHERE id = :mailing_id)
"""
"""Every delivery is untouched, in a living sender's hands, waiting or ended; never two of these."""


class Accountant(threading.Thread):
    """Looks at the books again and again, each time in one snapshot."""

    def __init__(self, engine: Engine, mailing_id: int) -> None:
        super().__init__()
        self.engine, self.mailing_id = engine, mailing_id
        self.ended = threading.Event()
        self.counts = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        with Session(self.engine) as session:
            while not self.ended.is_set():
                wrong = session.execute(text(WRONG), {"mailing_id": self.mailing_id}).all()
                session.rollback()
                self.counts += 1
                self.wrong += [str(row) for row in wrong]
                time.sleep(0.02)


@contextmanager
def accounted(mailing_id: int) -> Iterator[None]:
    accountant = Accountant(db.engine, mailing_id)
    accountant.start()
    try:
        yield
    finally:
        accountant.ended.set()
        accountant.join()
    assert accountant.counts > 5
    assert accountant.wrong == []


def bury_at_once(session: Session) -> int:
    """Be a watcher whose 30 seconds have passed."""
    moment = iter([0.0, 31.0])
    watch = recover.Watch(monotonic=lambda: next(moment))
    leases = recover.live(session)
    session.rollback()
    watch.silent(leases)
    silent = watch.silent(leases)
    lost = 0
    for fence, beats in silent.items():
        lost += recover.bury(session, fence, beats, at=clock.now()) or 0
        session.commit()
    return lost


def test_where_nothing_was_ever_filled_in_a_sender_finds_nothing_to_do(
    session: Session, a_sender: Callable[..., Sender]
) -> None:
    assert a_sender().work() is False


def test_a_sender_frozen_until_its_lease_is_dead_and_then_woken_doubles_nothing(
    session: Session,
    settings: Settings,
    sink: Sink,
    a_sender: Callable[..., Sender],
    tmp_path: Path,
) -> None:
    a_clinic(session)
    many_willing_contacts(session, 1000)
    session.commit()
    command = ("tests.delivery.racing", str(tmp_path / "dots"), "--pause-s", "0.005")
    chance = random.Random(7)
    with started(settings, *command, wait_for="ready") as frozen:
        mailing = a_running_mailing(session)
        session.commit()
        for _ in range(8):
            time.sleep(chance.uniform(0.05, 0.25))
            os.kill(frozen.pid, signal.SIGSTOP)
            bury_at_once(session)
            other = a_sender(size=16)
            other.work()
            os.kill(frozen.pid, signal.SIGCONT)
        wait_until(lambda: all_settled(session, mailing.id))

    tally = service.tally(session, mailing.id)
    recipients = [letter.rcpt for letter in sink.messages()]
    assert len(recipients) == len(set(recipients)), "somebody was written to twice"
    assert tally.accepted + tally.uncertain == tally.planned == 1000
    assert tally.uncertain <= 8 * IN_HAND
    dead = session.scalars(select(Lease).where(Lease.state == LeaseState.DEAD)).all()
    assert dead, "no lease died: nothing was tried"


def all_settled(session: Session, mailing_id: int) -> bool:
    session.rollback()
    tally = service.tally(session, mailing_id)
    session.rollback()
    return tally.settled == tally.planned


def a_due_campaign(session: Session) -> Campaign:
    staff = a_member_of_staff(session, "marketer")
    mailing = service.schedule(
        session,
        a_promotion(),
        ENVELOPE,
        purpose=Purpose.MARKETING,
        due_at=clock.now(),
        at=clock.now(),
    )
    campaign = Campaign(
        name="Осень",
        document={},
        created_by=staff.id,
        created_at=NOON,
        updated_at=NOON,
        mailing_id=mailing.id,
    )
    session.add(campaign)
    session.flush()
    return campaign


def test_two_workers_that_launch_at_once_launch_once(session: Session) -> None:
    a_clinic(session)
    many_willing_contacts(session, 200)
    campaign = a_due_campaign(session)
    session.commit()

    engine = db.engine

    def launch(_: int) -> tuple[int, int] | None:
        with Session(engine) as own:
            launched = campaigns.launch_next(own, at=clock.now())
            own.commit()
            return launched

    with ThreadPoolExecutor(4) as pool:
        launched = [one for one in pool.map(launch, range(8)) if one]

    assert launched == [(campaign.id, 200)]
    assert len(session.scalars(select(Delivery.id)).all()) == 200


@contextmanager
def a_whole_worker(settings: Settings, tmp_path: Path) -> Iterator[list["Popen[str]"]]:
    """Bulk and housekeeping workers and two beats, as real processes."""
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
    app = ("celery", "-A", "tests.delivery.worker_app")
    with ExitStack() as running:
        start = running.enter_context
        bulk = start(started(settings, *app, "worker", "-Q", "bulk", "-c", "2", *quiet))
        start(started(settings, *app, "worker", "-Q", "house", "-c", "1", *quiet))
        for number in range(2):
            schedule = str(tmp_path / f"beat{number}")
            start(started(settings, *app, "beat", "-s", schedule, "-l", "ERROR"))
        yield [bulk]


def broker_of(settings: Settings) -> "Redis":
    return Redis.from_url(settings.redis_url)


@pytest.mark.race
def test_killed_workers_an_emptied_broker_and_two_beats_double_and_lose_nothing(
    session: Session, settings: Settings, sink: Sink, tmp_path: Path
) -> None:
    people = 2000
    a_clinic(session)
    many_willing_contacts(session, people)
    campaign = a_due_campaign(session)
    session.commit()
    mailing_id = campaign.mailing_id
    assert mailing_id is not None

    with broker_of(settings) as broker, a_whole_worker(settings, tmp_path) as workers:
        wait_until(lambda: launched(session, mailing_id))
        with accounted(mailing_id):
            wait_until(lambda: sink.count() > people // 10)
            os.killpg(workers[0].pid, signal.SIGKILL)
            broker.flushdb()
            service.pause(session, mailing_id)
            session.commit()
            service.resume(session, mailing_id)
            session.commit()
            quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
            app = ("celery", "-A", "tests.delivery.worker_app")
            with started(settings, *app, "worker", "-Q", "bulk", "-c", "2", *quiet):
                wait_until(lambda: finished(session, mailing_id), within_s=90)

    session.rollback()
    tally = service.tally(session, mailing_id)
    recipients = [letter.rcpt for letter in sink.messages()]
    assert len(recipients) == len(set(recipients)), "somebody was written to twice"
    assert tally.planned == people
    assert tally.accepted + tally.uncertain == people
    assert tally.uncertain <= SENDERS * IN_HAND
    assert set(accepted(session)) <= set(recipients)


def launched(session: Session, mailing_id: int) -> bool:
    session.rollback()
    return session.get_one(Mailing, mailing_id).launched_at is not None


def finished(session: Session, mailing_id: int) -> bool:
    session.rollback()
    return session.get_one(Mailing, mailing_id).ended_at is not None


def accepted(session: Session) -> list[str]:
    rows = session.scalars(
        select(Address.value)
        .join(Delivery, Delivery.address_id == Address.id)
        .join(Outcome, Outcome.delivery_id == Delivery.id)
        .where(Outcome.state == DeliveryState.ACCEPTED)
    )
    return [value for value in rows if value]


def test_cut_connections_double_and_lose_nothing(
    session: Session, settings: Settings, sink: Sink, tmp_path: Path
) -> None:
    """Whatever statement or commit the cut falls into: its answer may be lost, never a letter."""
    people, cuts = 600, 0
    a_clinic(session)
    many_willing_contacts(session, people)
    session.commit()
    command = ("tests.delivery.racing", str(tmp_path / "dots"), "--pause-s", "0.002")
    with (
        started(settings, *command, wait_for="ready"),
        started(settings, *command, wait_for="ready"),
    ):
        mailing = a_running_mailing(session)
        session.commit()
        until = time.monotonic() + 60
        with accounted(mailing.id):
            while not all_settled(session, mailing.id) and time.monotonic() < until:
                cuts += len(session.execute(text(CUT_SENDERS)).all())
                session.commit()
                time.sleep(0.15)

    assert cuts > 5
    tally = service.tally(session, mailing.id)
    recipients = [letter.rcpt for letter in sink.messages()]
    assert len(recipients) == len(set(recipients)), "somebody was written to twice"
    assert tally.accepted == tally.planned == len(recipients) == people
    session.rollback()
    assert close.finish(session, at=clock.now()) == [mailing.id]
    session.commit()


CUT_SENDERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND application_name = 'sender'
"""
