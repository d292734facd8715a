"""The clock of the house, which rings no more often than somebody hears."""

from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry
from redis import Redis, RedisError

from crm.operations.queues import CROWDED
from worker.schedule import HOUSE

WITHIN_S = 1.0


class PatientScheduler(PersistentScheduler):
    """Leaves a message out while CROWDED lie in the house's queue.

    They expire, and lie there all the same until a worker takes them out: days without one would
    fill the broker. None is missed: each says what the next one says again.
    """

    def apply_async(
        self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any
    ) -> Any:
        """Send what is due, unless nobody hears."""
        if self._is_heard():
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        if advance:
            self.reserve(entry)
        return None

    def _is_heard(self) -> bool:
        limits = {"socket_timeout": WITHIN_S, "socket_connect_timeout": WITHIN_S}
        try:
            with Redis.from_url(self.app.conf.broker_url, **limits) as broker:
                return bool(broker.llen(HOUSE) < CROWDED)
        except RedisError:
            return True  # sending will fail, and say so
