"""Tasks: each unpacks its arguments, calls the CRM, and commits. No decisions are taken here."""

import logging
import os
import time

from celery import shared_task
from sqlalchemy.orm import Session

from crm import clock
from crm.audit import seal as seals
from crm.campaigns import service as campaigns
from crm.consent.refold import LOGS
from crm.current import settings
from crm.db import db, session
from crm.delivery import close as closing
from crm.delivery import recover as recovery
from crm.delivery.dispatch import Sender
from crm.delivery.rules import WINDOW
from crm.delivery.states import Lane
from worker.app import stopping

log = logging.getLogger(__name__)

SHIFT_S = 600.0
"""A sender's process works this long before it makes room for a fresh doorbell."""
IDLE_S = 0.2
"""How often an idle sender looks for work: the most a service letter waits for nothing."""
SERVICE_LINES = 4

_watch = recovery.Watch()


@shared_task
def send_bulk() -> None:
    """Work a shift on the lane of campaigns."""
    _work_a_shift(Lane.BULK)


@shared_task
def send_service() -> None:
    """Work a shift on the lane of service letters."""
    _work_a_shift(Lane.SERVICE, lines=SERVICE_LINES)


@shared_task
def release() -> None:
    """Set aside what missed its time, and launch what is due."""
    closing.mark_overdue(session(), at=clock.now())
    session().commit()
    while launched := campaigns.launch_next(session(), at=clock.now()):
        session().commit()
        campaign_id, planned = launched
        log.info("campaign launched", extra={"campaign_id": campaign_id, "planned": planned})


@shared_task
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
        seals.seal(session(), name, table, at=clock.now())
        session().commit()


def _work_a_shift(lane: Lane, *, lines: int = WINDOW) -> None:
    parent, until = os.getppid(), time.monotonic() + SHIFT_S

    def over() -> bool:
        # An orphan's parent is another process: a pool killed -9 must not leave senders behind.
        return stopping.is_set() or os.getppid() != parent

    with Session(db.engine) as own:
        sender = Sender(
            session=own,
            settings=settings(),
            lane=lane,
            now=clock.now,
            stopping=over,
            size=lines,
        )
        try:
            while not over() and time.monotonic() < until:
                if not sender.work():
                    stopping.wait(IDLE_S)
        finally:
            sender.close()
