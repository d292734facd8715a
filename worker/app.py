"""The Celery application, wrapped around the same Flask application the site runs."""

import multiprocessing
from typing import Any

from celery import Celery, Task
from celery.signals import worker_shutting_down
from flask import Flask

from crm.config import Settings
from worker.schedule import BEAT, ROUTES

_ending = multiprocessing.RawValue("b", 0)
"""Written by the pool's parent when the worker is told to end, read by the children it forked.

A bare byte of shared memory: an Event has a lock, and a child killed while holding it would keep
the parent from ending.
"""


def stopping() -> bool:
    """Return whether this worker was told to end."""
    return bool(_ending.value)


def create_celery(flask_app: Flask, settings: Settings) -> Celery:
    """Return the Celery application. Its messages are doorbells: losing one loses nothing."""

    class InContext(Task[Any, Any]):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with flask_app.app_context():
                return super().__call__(*args, **kwargs)

    celery: Celery[Task[Any, Any]] = Celery(
        "worker", task_cls=InContext, broker=settings.redis_url, set_as_current=True
    )
    celery.conf.update(
        accept_content=["json"],
        beat_schedule=BEAT,
        beat_scheduler="worker.beat:PatientScheduler",
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_timeout": 10, "socket_connect_timeout": 5},
        task_acks_late=False,
        task_ignore_result=True,
        task_routes=ROUTES,
        task_serializer="json",
        timezone="UTC",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
    )
    return celery


@worker_shutting_down.connect
def hand_on_the_end(**_: Any) -> None:
    """Let the senders finish their open window and go."""
    _ending.value = 1
