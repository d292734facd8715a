"""The product's Celery application with an impatient watcher, so that a test need not wait 30 s.

``celery -A tests.delivery.worker_app worker | beat``
"""

from crm.delivery import rules

rules.DEAD_AFTER_S = 3.0

from worker.celery import app, tasks  # noqa: E402 - the patience is read when the tasks run

__all__ = ["app", "tasks"]
