"""How long a campaign will take at a speed of its own."""

from datetime import timedelta

from flask import request
from flask_babel import format_timedelta, ngettext

from crm.campaigns.forms import SpeedForm, read_speed
from crm.campaigns.rules import EXAMPLE, minutes_left
from crm.campaigns.views.blueprint import bp
from crm.errors import Invalid
from crm.web.access import allow
from crm.web.filters import thousands

_MOST_DIGITS = 9


@bp.get("/campaigns/lasts")
@allow("marketer")
def how_long() -> str:
    """Return how long so many letters take at the speed that is being typed."""
    typed = request.args.get("letters", "")
    known = typed.isascii() and typed.isdigit() and len(typed) <= _MOST_DIGITS
    try:
        per_minute = read_speed(request.args.get("per_minute", ""))
    except Invalid:
        return ""
    return _in_words(int(typed), per_minute or EXAMPLE) if known else ""


def lasts(letters: int, speed: SpeedForm | None) -> str:
    """Return how long so many letters take: at the speed of the form, or at one for example."""
    chosen = speed.per_minute.data if speed else None
    return _in_words(letters, chosen if isinstance(chosen, int) else EXAMPLE)


def _in_words(letters: int, per_minute: int) -> str:
    minutes = minutes_left(letters, per_minute) or 0
    said: str = ngettext(
        "At %(rate)s a minute %(count)s letter takes about %(time)s, quiet hours not counted.",
        "At %(rate)s a minute %(count)s letters take about %(time)s, quiet hours not counted.",
        letters,
        count=thousands(letters),
        rate=thousands(per_minute),
        time=format_timedelta(timedelta(minutes=minutes), granularity="minute", threshold=2),
    )
    return said
