"""Tasks: each unpacks its arguments, calls the CRM, and commits. No decisions are taken here."""

import logging
import os
import time
from datetime import timedelta

from celery import current_app, shared_task
from redis import Redis
from sqlalchemy.orm import Session

from crm import clock
from crm.audit import seal as seals
from crm.campaigns import service as campaigns
from crm.clinic.service import details
from crm.consent.refold import LOGS
from crm.current import settings
from crm.db import engine_of_a_sender, session
from crm.delivery import close as closing
from crm.delivery import frequency, mishaps, rest, warm_up
from crm.delivery import probe as probing
from crm.delivery import recover as recovery
from crm.delivery.dispatch import Sender
from crm.delivery.rules import LINES
from crm.delivery.states import Lane
from crm.delivery.vigil import behind_smart_host
from crm.operations import alive
from crm.relays.service import relays_of
from crm.safekeeping import installation, reading, stops
from worker.app import stopping
from worker.schedule import DOORBELL_S, DOORBELLS

log = logging.getLogger(__name__)

IDLE_S = 0.2
"""How often an idle sender looks for work: the most a service letter waits for nothing."""
SERVICE_LINES = 4

_watch = recovery.Watch()


@shared_task
def send_bulk() -> None:
    """Be a sender of campaigns until the worker ends."""
    _send(Lane.BULK, lines=LINES)


@shared_task
def send_service() -> None:
    """Be a sender of service letters until the worker ends."""
    _send(Lane.SERVICE, lines=SERVICE_LINES)


@shared_task
def tick() -> None:
    """What has to happen every second: fill senders' places, launch, wind down, close."""
    ring()
    launch()
    close()
    probe()


def ring() -> None:
    """Put a doorbell into each senders' queue that is empty, so that none can pile up."""
    with Redis.from_url(settings().redis_url) as broker:
        silent = [queue for queue in DOORBELLS if not broker.llen(queue)]
    for queue in silent:
        current_app.send_task(DOORBELLS[queue], expires=DOORBELL_S)


def launch() -> None:
    """Set aside what missed its time, and launch what is due."""
    closing.mark_overdue(session(), at=clock.now())
    session().commit()
    while launched := campaigns.launch_next(session(), at=clock.now()):
        session().commit()
        campaign_id, planned = launched
        log.info("campaign launched", extra={"campaign_id": campaign_id, "planned": planned})


def probe() -> None:
    """Behind a smart host let mailings wait for the bounces of their first letters."""
    choice = details(session()).smart_host
    if any(behind_smart_host(choice, relay.host) for relay in relays_of(settings())):
        probing.begin(session(), at=clock.now())
    probing.judge(session(), at=clock.now())
    session().commit()


def close() -> None:
    """Wind down stopped mailings and close finished ones."""
    while closing.wind_down(session(), at=clock.now()):
        session().commit()
    session().commit()
    for mailing_id in closing.finish(session(), at=clock.now()):
        log.info("mailing finished", extra={"mailing_id": mailing_id})
    session().commit()


@shared_task
def recover() -> None:
    """Bury the leases of dead senders."""
    silent = _watch.silent(recovery.live(session()))
    session().commit()
    for fence, beats in silent.items():
        lost = recovery.bury(session(), fence, beats, at=clock.now())
        session().commit()
        if lost is not None:
            log.warning("lease buried", extra={"fence": fence, "uncertain": lost})


@shared_task
def seal() -> None:
    """Seal what is new in the logs."""
    for name, table in LOGS.items():
        while seals.seal(session(), name, table, at=clock.now()):
            session().commit()


@shared_task
def safekeep() -> None:
    """Agree who this installation is, find out whether it still is that, and keep stops safe."""
    installation.agree(session(), settings(), at=clock.now())
    session().commit()
    installation.verdict(session(), settings(), at=clock.now())
    session().commit()
    stops.keep(session(), settings(), at=clock.now())


@shared_task
def tidy() -> None:
    """Move warm-ups on; forget what is over: rests, reserved days, the journal's, processes."""
    at = clock.now()
    reading.tidy(settings().state_dir, at=at)
    warm_up.advance(session(), at=at)
    rest.forget(session(), at=at)
    mishaps.forget(session(), at=at)
    frequency.forget(session(), on=at.date() - timedelta(days=1))
    alive.forget(session(), at=at)
    session().commit()


def _send(lane: Lane, *, lines: int) -> None:
    parent = os.getppid()

    def over() -> bool:
        # An orphan's parent is another process: a pool killed -9 must not leave senders behind.
        return stopping() or os.getppid() != parent

    engine = engine_of_a_sender(settings().database_url)
    with Session(engine) as own:
        sender = Sender(
            session=own,
            settings=settings(),
            lane=lane,
            now=clock.now,
            stopping=over,
            size=lines,
        )
        try:
            while not over():
                if not sender.work():
                    time.sleep(IDLE_S)
        finally:
            sender.close()
            engine.dispose()
