"""How many wrong passwords there may be: per account, and per network address they come from.

Counted in Valkey for all processes; where it is away each process counts for itself, so there is
always a limit. What is counted under are keyed tokens and network addresses, for 15 minutes.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

from limits import parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

log = logging.getLogger(__name__)

PER_ACCOUNT: Final = parse("10 per 15 minutes")
PER_ORIGIN: Final = parse("50 per 15 minutes")
"""A clinic sits behind one address: more than one person may mistype there."""
KEY: Final = "crm.throttle"
"""Where the application keeps its throttle among its extensions."""

Answer = TypeVar("Answer")


class Throttle:
    """Counts wrong passwords. One per application."""

    def __init__(self, uri: str, options: dict[str, Any]) -> None:
        storage = storage_from_string(uri, wrap_exceptions=True, **options)
        self._shared = MovingWindowRateLimiter(storage)
        self._own = MovingWindowRateLimiter(MemoryStorage())

    def lets_try(self, account: str, origin: str) -> bool:
        """Count an attempt on the account and return whether it may be made.

        It is counted before the password is looked at, so that a hundred at once are not a
        hundred tries; ``forgive`` takes it back.
        """
        if not self._ask(lambda limiter: limiter.test(PER_ORIGIN, origin)):
            return False
        return self._ask(lambda limiter: limiter.hit(PER_ACCOUNT, account))

    def wrong(self, origin: str) -> None:
        """Count a wrong password against where it came from."""
        self._ask(lambda limiter: limiter.hit(PER_ORIGIN, origin))

    def forgive(self, account: str) -> None:
        """Forget the wrong passwords of an account: the right one was given."""
        self._own.clear(PER_ACCOUNT, account)
        self._ask(lambda limiter: limiter.clear(PER_ACCOUNT, account))

    def _ask(self, what: Callable[[MovingWindowRateLimiter], Answer]) -> Answer:
        try:
            return what(self._shared)
        except StorageError:
            log.warning("sign-in attempts are counted in this process only")
            return what(self._own)
