"""Decisions about campaigns: pure, standard library only."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from crm.errors import Invalid, later

LONGEST_NAME: Final = 120
FURTHEST: Final = timedelta(days=365)
"""How far ahead a mailing may be scheduled."""
GRACE: Final = timedelta(minutes=5)
"""A time that has just passed while the page was open still means now."""
SLOWEST: Final = 1
FASTEST: Final = 100_000
"""Letters a minute between which a campaign's own speed may be chosen."""
EXAMPLE: Final = 100
"""The speed that the page reckons with while none is chosen."""
RATE_OVER: Final = timedelta(seconds=60)

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_NO_NAME = later("Give the campaign a name.")
_LONG_NAME = later("At most 120 characters.")
_BAD_NAME = later("There are characters here that cannot be in a name.")
_NO_TIME = later("Choose the day and the time.")
_PAST = later("This moment has passed already. Choose a later one.")
_FAR = later("Choose a moment within a year.")


class NameFault(Invalid):
    """The name cannot be taken; ``say`` tells why."""


class TimeFault(Invalid):
    """The time cannot be taken; ``say`` tells why."""


def read_name(typed: object) -> str:
    """Return the campaign's name as typed, without blanks around it. Raises NameFault."""
    if not isinstance(typed, str) or not typed.strip():
        raise NameFault(say=_NO_NAME)
    name = typed.strip()
    if len(name) > LONGEST_NAME:
        raise NameFault(say=_LONG_NAME)
    if _CONTROL.search(name):
        raise NameFault(say=_BAD_NAME)
    return name


def name_of_copy(name: str, mark: str) -> str:
    """Return the name of a copy, ``mark`` at its end, cut to fit.

    >>> name_of_copy("Осень", "(копия)")
    'Осень (копия)'
    """
    return f"{name[: LONGEST_NAME - len(mark) - 1].rstrip()} {mark}"


def read_local(typed: str, zone: ZoneInfo, *, at: datetime) -> datetime:
    """Return the moment that a ``datetime-local`` field names in the clinic's zone, in UTC.

    Raises:
        TimeFault: nothing typed, not a moment, past, or more than a year ahead.

    """
    try:
        local = datetime.fromisoformat(typed.strip())
        moment = local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise TimeFault(say=_NO_TIME) from None
    if local.tzinfo is not None or len(typed) > len("2027-03-01T12:00:00"):
        raise TimeFault(say=_NO_TIME)
    if moment < at - GRACE:
        raise TimeFault(say=_PAST)
    if moment > at + FURTHEST:
        raise TimeFault(say=_FAR)
    return max(moment, at)


def minutes_left(queued: int, per_minute: int) -> int | None:
    """Return how many minutes the queue will take at this rate, None where nothing moves.

    >>> minutes_left(1685, 300)
    6
    """
    if per_minute <= 0:
        return None
    return max(1, -(-queued // per_minute))


def percent(part: int, whole: int) -> int:
    """Return whole percents, 100 only when all of it is there.

    >>> percent(999, 1000)
    99
    """
    return part * 100 // whole if whole else 0
