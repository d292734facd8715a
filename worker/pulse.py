"""Every process of ours says that it lives: what the operator's page calls alive."""

import os
import socket
import threading
from contextlib import suppress

from celery import current_app
from celery.signals import beat_init, worker_process_init
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.db import ENGINE_OPTIONS
from crm.operations import alive


class Pulse(threading.Thread):
    """Writes down every few seconds that this process lives, until it does not.

    A thread, because a sender is busy for minutes; frozen with its process, it falls silent. A
    connection each time, because those that PostgreSQL has are few.
    """

    def __init__(self, settings: Settings, kinds: list[str]) -> None:
        super().__init__(name="pulse", daemon=True)
        arguments = ENGINE_OPTIONS["connect_args"] | {"application_name": "pulse"}
        self._engine = create_engine(
            settings.database_url, poolclass=NullPool, connect_args=arguments
        )
        self._kinds, self._started_at = kinds, clock.now()
        self._ended = threading.Event()

    def run(self) -> None:
        """Go on until ``end``; a database that is away is tried again."""
        while True:
            with suppress(SQLAlchemyError):  # whoever looks finds out from the silence
                self._beat()
            if self._ended.wait(alive.BEAT_S):
                return

    def end(self) -> None:
        """Fall silent."""
        self._ended.set()
        self.join()

    def _beat(self) -> None:
        with Session(self._engine) as session:
            for kind in self._kinds:
                alive.beat(
                    session,
                    kind,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    started_at=self._started_at,
                    at=clock.now(),
                )
            session.commit()


def begin_with_processes(settings: Settings) -> None:
    """Start a pulse in beat, and in every process of a worker's pool."""

    @worker_process_init.connect(weak=False)
    def in_a_pool(**_: object) -> None:
        Pulse(settings, sorted(current_app.amqp.queues.consume_from)).start()

    @beat_init.connect(weak=False)
    def in_beat(**_: object) -> None:
        Pulse(settings, ["beat"]).start()
