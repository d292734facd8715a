"""The hours in which no promotional letter leaves, by the clinic's clocks. Pure.

Service letters are not held: a confirmation that is asked for at night is waited for at night, and
a reminder names its own time.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def quiet_until(at: datetime, zone: ZoneInfo, *, begin: time, end: time) -> datetime | None:
    """Return when the quiet hours end that ``at`` lies in, or None outside them.

    ``begin`` after ``end`` is a night over midnight; equal times mean that no hour is quiet. Where
    clocks go back over the end, its first coming counts that is not past.

    >>> night = {"begin": time(21), "end": time(9)}
    >>> quiet_until(datetime(2027, 3, 1, 20, tzinfo=UTC), ZoneInfo("Europe/Moscow"), **night)
    datetime.datetime(2027, 3, 2, 6, 0, tzinfo=datetime.timezone.utc)
    """
    local = at.astimezone(zone)
    clock = local.time()
    if begin <= end:
        quiet, morning = begin <= clock < end, local.date()
    else:
        quiet = clock >= begin or clock < end
        morning = local.date() + timedelta(days=clock >= begin)
    if not quiet:
        return None
    ends = datetime.combine(morning, end, zone)
    first, second = (ends.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first > at else second
