"""How many doorbells nobody has heard yet.

The one look of the site at the broker, for the same reason as ``/readyz``'s: whoever watches has to
see that it is away. Nothing is sent through it, and no answer is waited for longer than a second.
"""

from typing import Any, Final, cast

from redis import Redis, RedisError

QUEUES: Final = ("bulk", "service", "house")
WITHIN_S: Final = 1.0
CROWDED: Final = 20
"""Messages in the house's queue at which beat rings no more: some seconds' worth."""


def is_full(redis_url: str) -> bool:
    """Return whether the broker answers and takes no message for want of memory."""
    limits = {"socket_timeout": WITHIN_S, "socket_connect_timeout": WITHIN_S}
    try:
        with Redis.from_url(redis_url, **limits) as broker:
            memory = cast("dict[str, Any]", broker.info("memory"))
    except RedisError:
        return False
    most = memory["maxmemory"]
    return bool(memory["maxmemory_policy"] == "noeviction" and 0 < most <= memory["used_memory"])


def waiting(redis_url: str) -> dict[str, int] | None:
    """Return the messages in each queue; None where the broker does not answer."""
    limits = {"socket_timeout": WITHIN_S, "socket_connect_timeout": WITHIN_S}
    try:
        with Redis.from_url(redis_url, **limits) as broker, broker.pipeline(False) as asking:
            for queue in QUEUES:
                asking.llen(queue)
            return dict(zip(QUEUES, cast("list[int]", asking.execute()), strict=True))
    except RedisError:
        return None
