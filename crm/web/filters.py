"""How numbers, dates and names look on a page: template filters.

Times are shown in the clinic's zone, whoever looks. A naive datetime is a bug and is refused.
"""

from datetime import date, datetime, timedelta

from flask import Flask
from flask_babel import format_date, format_datetime, format_time, format_timedelta

from crm import clock
from crm.web.locale import language

NO_BREAK = "\N{NO-BREAK SPACE}"
RECENT = timedelta(days=30)
DAY = {"ru": "dd.MM.yyyy", "en": "d MMM yyyy"}
LONG_DAY = {"ru": "EEEE, d MMMM", "en": "EEEE, d MMMM"}


def init(app: Flask) -> None:
    """Make the filters known to templates."""
    for rule in (thousands, day, long_day, moment, hour, ago, initials, hue):
        app.add_template_filter(rule)


def thousands(number: int) -> str:
    """Return ``12 480`` with spaces that never break a line.

    Not the narrow one: Golos Text draws U+202F an eighth of an em wide, and 12 480 reads 12480.
    """
    return f"{number:,}".replace(",", NO_BREAK)


def day(value: date) -> str:
    """Return ``22.11.2026``; of a datetime, the day that it is in the clinic."""
    shape = DAY[language()]
    if isinstance(value, datetime):
        return str(format_datetime(_aware(value), shape))
    return str(format_date(value, shape))


def long_day(value: date) -> str:
    """Return ``вторник, 24 ноября``."""
    shape = LONG_DAY[language()]
    if isinstance(value, datetime):
        return str(format_datetime(_aware(value), shape))
    return str(format_date(value, shape))


def hour(value: datetime) -> str:
    """Return ``09:30`` in the clinic's zone."""
    return str(format_time(_aware(value), "HH:mm"))


def moment(value: datetime) -> str:
    """Return ``22.11.2026, 09:30`` in the clinic's zone, on one line."""
    return f"{day(value)},{NO_BREAK}{hour(value)}"


def ago(value: datetime) -> str:
    """Return ``5 минут назад`` or ``через 2 часа``; the plain moment beyond a month."""
    away = _aware(value) - clock.now()
    if abs(away) > RECENT:
        return moment(value)
    return str(format_timedelta(away, add_direction=True, threshold=1.2))


def initials(name: str) -> str:
    """Return up to two capitals of a name: ``КИ`` of ``Ковалёва Ирина Петровна``."""
    parts = [part for part in name.split() if part[0].isalpha()]
    return "".join(part[0] for part in parts[:2]).upper() or "?"


def hue(name: str) -> int:
    """Return 0-4, the same for the same name: the colour of its avatar."""
    return sum(name.encode()) % 5


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("naive datetime")
    return value
