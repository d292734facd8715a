"""Stops aimed at the window in a sender's hands: not one dot after somebody was told "done"."""

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.consent import gate
from crm.consent.rules import Channel, Purpose
from crm.consent.tokens import Right, Unsubscribe, mint_unsubscribe, signer
from crm.contacts.models import Address
from crm.db import db
from crm.delivery import service
from crm.delivery.models import Delivery, Outcome, Window
from crm.operations.stop_gap import gap
from tests.delivery.processes import Site, site, started
from tests.factories import a_clinic, a_running_mailing, many_willing_contacts

PEOPLE = 2000
HARD = 50
"""Stops that have to be confirmed while letters leave."""
PAUSE_S = "0.005"
WIDE_PAUSE_S = "0.2"
"""For the race that must be lost: on a busy machine an opt-out takes longer than 5 ms."""
LONGEST_S = 90.0


@pytest.fixture
def launch(session: Session) -> Callable[[], int]:
    """Starts the mailing once everybody is at the line; returns its id."""
    a_clinic(session)
    many_willing_contacts(session, PEOPLE)
    session.commit()

    def start() -> int:
        mailing = a_running_mailing(session)
        session.commit()
        return mailing.id

    return start


@contextmanager
def two_senders(settings: Settings, log: Path, *options: str) -> Iterator[None]:
    pause = () if "--pause-s" in options else ("--pause-s", PAUSE_S)
    command = ("tests.delivery.racing", str(log), *pause, *options)
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(started(settings, *command, wait_for="ready"))
        yield


def dots(log: Path) -> list[tuple[int, str]]:
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(int(at_ns), recipient) for at_ns, recipient in lines]


class Leaver(threading.Thread):
    """Posts opt-outs of people whose letter is in a sender's hands right now."""

    def __init__(self, settings: Settings, engine: Engine, to: Site, *, seed: int) -> None:
        super().__init__()
        self.engine = engine
        self.settings, self.to, self.random = settings, to, random.Random(seed)
        self.ended = threading.Event()
        self.told: dict[str, int] = {}
        """By address, the monotonic time at which the 200 had been read."""
        self.statuses: list[int] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._leave()
        except BaseException as failure:
            self.failure = failure

    def _leave(self) -> None:
        by = signer(Right.UNSUBSCRIBE, self.settings.secret_keys)
        line = http.client.HTTPConnection("127.0.0.1", self.to.port, timeout=10)
        with Session(self.engine) as session:
            while not self.ended.is_set():
                target = self._aim(session)
                if target is None:
                    time.sleep(0.005)
                    continue
                delivery_id, address_id, value = target
                token = mint_unsubscribe(
                    by, Unsubscribe(address_id, Purpose.MARKETING, Channel.EMAIL, delivery_id)
                )
                line.request(
                    "POST",
                    f"/u/{token}",
                    body="List-Unsubscribe=One-Click",
                    headers={"Content-Type": "application/x-www-form-urlencoded"},
                )
                answer = line.getresponse()
                answer.read()
                self.statuses.append(answer.status)
                if answer.status == 200:
                    self.told.setdefault(value, time.monotonic_ns())
        line.close()

    def _aim(self, session: Session) -> tuple[int, int, str] | None:
        intended = select(func.unnest(Window.delivery_ids).label("id")).subquery()
        in_hand = session.execute(
            select(Delivery.id, Address.id, Address.value)
            .join(intended, intended.c.id == Delivery.id)
            .join(Address, Address.id == Delivery.address_id)
            .outerjoin(Outcome, Outcome.delivery_id == Delivery.id)
            .where(Outcome.delivery_id.is_(None))
            .order_by(Delivery.id.desc())
            .limit(64)
        ).all()
        session.rollback()
        fresh = [
            (delivery_id, address_id, value)
            for delivery_id, address_id, value in in_hand
            if value is not None and value not in self.told
        ]
        return self.random.choice(fresh) if fresh else None


def run_race(
    session: Session,
    settings: Settings,
    launch: Callable[[], int],
    log: Path,
    *options: str,
    enough: Callable[[list[Leaver]], bool],
) -> tuple[list[int], list[Leaver]]:
    """Send one mailing after another while people leave, until it is ``enough`` or too late.

    On a busy machine an opt-out takes long and few hit a window of one mailing.
    """
    mailing_ids: list[int] = []
    until = time.monotonic() + LONGEST_S
    with site(settings) as to, two_senders(settings, log, *options):
        leavers = [Leaver(settings, db.engine, to, seed=seed) for seed in range(4)]
        for leaver in leavers:
            leaver.start()
        while time.monotonic() < until and not (mailing_ids and enough(leavers)):
            mailing_ids.append(launch())
            while unsettled(session, mailing_ids[-1]) and time.monotonic() < until:
                time.sleep(0.1)
        for leaver in leavers:
            leaver.ended.set()
        for leaver in leavers:
            leaver.join()
    for leaver in leavers:
        if leaver.failure:
            raise leaver.failure
    return mailing_ids, leavers


def unsettled(session: Session, mailing_id: int) -> int:
    tally = service.tally(session, mailing_id)
    session.rollback()
    return tally.planned - tally.settled


def late_dots(leavers: list[Leaver], written: list[tuple[int, str]]) -> list[float]:
    """How many milliseconds after the 200 each late dot was written."""
    told: dict[str, int] = {}
    for leaver in leavers:
        for address, at_ns in list(leaver.told.items()):
            told[address] = min(at_ns, told.get(address, at_ns))
    return [(at - told[to]) / 1e6 for at, to in written if to in told and at > told[to]]


def confirmed(leavers: list[Leaver]) -> int:
    return sum(leaver.statuses.count(200) for leaver in leavers)


@pytest.mark.race
def test_no_dot_follows_a_confirmed_opt_out(
    session: Session, settings: Settings, launch: Callable[[], int], tmp_path: Path
) -> None:
    log = tmp_path / "dots"
    mailing_ids, leavers = run_race(
        session, settings, launch, log, enough=lambda leavers: confirmed(leavers) >= HARD
    )
    written = dots(log)
    assert late_dots(leavers, written) == []
    assert {status for leaver in leavers for status in leaver.statuses} <= {200, 202}
    assert confirmed(leavers) >= HARD, "the race was not run hard enough to say anything"
    assert not gap(session, since=clock.now() - timedelta(days=1)).proved
    tallies = [service.tally(session, mailing_id) for mailing_id in mailing_ids]
    assert [tally.settled for tally in tallies] == [tally.planned for tally in tallies]
    assert sum(tally.withheld for tally in tallies) > 0, "no stop hit a window"
    assert len(written) == sum(tally.accepted for tally in tallies)


@pytest.mark.race
def test_without_the_gate_some_dots_do_follow(
    session: Session, settings: Settings, launch: Callable[[], int], tmp_path: Path
) -> None:
    log = tmp_path / "dots"
    options = ("--without-gate", "--pause-s", WIDE_PAUSE_S)
    _mailing_ids, leavers = run_race(
        session,
        settings,
        launch,
        log,
        *options,
        enough=lambda leavers: bool(late_dots(leavers, dots(log))),
    )
    assert late_dots(leavers, dots(log)), "the race proves nothing if it cannot be lost"
    assert gap(session, since=clock.now() - timedelta(days=1)).proved, "the rows tell of it"


@pytest.mark.race
def test_no_dot_follows_a_confirmed_pause_or_stop(
    session: Session, settings: Settings, launch: Callable[[], int], tmp_path: Path
) -> None:
    quiet: list[tuple[int, int]] = []
    log = tmp_path / "dots"
    with two_senders(settings, log):
        mailing_id = launch()
        for _ in range(12):
            time.sleep(0.1)
            service.pause(session, mailing_id)
            session.commit()
            assert gate.barrier(session)
            begins = time.monotonic_ns()
            time.sleep(0.05)
            quiet.append((begins, time.monotonic_ns()))
            service.resume(session, mailing_id)
            session.commit()
        service.stop(session, mailing_id, at=clock.now())
        session.commit()
        assert gate.barrier(session)
        quiet.append((time.monotonic_ns(), time.monotonic_ns() + 10**12))
        time.sleep(0.3)
    written = dots(log)
    assert written, "nothing ran that could have been stopped"
    assert [at for at, _to in written if any(a < at < b for a, b in quiet)] == []
    assert len({to for _at, to in written}) == len(written)
