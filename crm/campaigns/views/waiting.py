"""What keeps a mailing from going on, in one sentence."""

from datetime import datetime, timedelta
from typing import Final, cast

from flask import current_app
from flask.sansio.blueprints import BlueprintSetupState
from flask_babel import format_decimal, gettext

from crm.campaigns import pulse
from crm.campaigns.follow import Progress
from crm.campaigns.views.blueprint import bp
from crm.config import Settings
from crm.db import session
from crm.delivery.models import Mailing
from crm.delivery.providers import NAMES
from crm.delivery.states import MailingState
from crm.delivery.vigil import FIRST
from crm.delivery.waits import Wait, Waiting, waits_for
from crm.errors import later
from crm.relays import service as relays
from crm.relays import words as relay_words
from crm.relays.absence import absences
from crm.relays.models import RelayAbsence
from crm.relays.rules import NONE_MAY_SEND, name_of
from crm.safekeeping import installation, journal
from crm.web.filters import hour, moment, thousands

_SOON = timedelta(hours=20)
"""Within these a time of day needs no date."""
_NOBODY: Final = later(
    "No sender is at work. Tell the administrator: the worker has to be started."
)
_TURN: Final = later("Waits: another mailing goes first.")
PULSE: Final = "crm.campaigns.pulse"
"""Where an application keeps its ``pulse.Pulse``: the mailings of another are not these."""

SAY: Final = {
    Wait.QUIET_HOURS: later("Waits: quiet hours until %(time)s."),
    Wait.BOUNCES: later(
        "Waits until %(time)s for bounce letters to the first %(first)s; then it goes on by "
        "itself, unless too many have come back."
    ),
    Wait.RELAY_REST: later(
        "Waits: the mail relay takes no letters for now (%(because)s), next try at %(time)s."
    ),
    Wait.PROVIDER_REST: later("Waits: %(provider)s rests until %(time)s (%(because)s)."),
    Wait.MAILING_PACE: later("Waits: limit of this mailing, %(rate)s/min."),
    Wait.RELAY_PACE: later("Waits: limit of the mail relay, %(rate)s/min."),
    Wait.WARM_UP: later("Waits: warm-up of %(provider)s, %(hourly)s an hour today."),
    Wait.PROVIDER_PACE: later("Waits: provider limit %(provider)s, %(rate)s/min."),
    Wait.RETRIES: later("Waits: only letters refused for now are left, next try %(time)s."),
}


@bp.record
def _watch(registered: BlueprintSetupState) -> None:
    registered.app.extensions[PULSE] = pulse.Pulse()


def sentences(
    mailing: Mailing, looked: Progress, settings: Settings, *, at: datetime
) -> dict[str, str | None]:
    """Return ``barred``: what a person must put right, and ``waits``: what time will bring."""
    if mailing.state is not MailingState.RUNNING or looked.ended:
        return {"barred": None, "waits": None}
    barred = _barred(settings, at=at)
    if barred:
        return {"barred": barred, "waits": None}
    away = _away(settings, at=at)
    if away is not None:
        return {"barred": None, "waits": away_in_words(away, at=at)}
    waiting = waits_for(session(), mailing, at=at)
    if _nobody_sends(mailing, looked, waiting, at=at):
        return {"barred": str(gettext(_NOBODY)), "waits": None}
    return {"barred": None, "waits": _waits(mailing, looked, waiting, at=at)}


def _waits(
    mailing: Mailing, looked: Progress, waiting: Waiting | None, *, at: datetime
) -> str | None:
    if waiting is not None:
        return in_words(waiting, at=at)
    stands = looked.per_minute == 0 and looked.tally.sending == 0
    return str(gettext(_TURN)) if stands and pulse.is_others_turn(session(), mailing.id) else None


def _barred(settings: Settings, *, at: datetime) -> str | None:
    hold = installation.verdict(session(), settings, at=at)
    if hold is not None:
        why = gettext(hold.say, **hold.values)
        return str(gettext("The installation is held: %(why)s", why=why))
    fault = _relays_fault(settings) or journal.of(settings).trouble()
    return str(gettext(fault)) if fault else None


def _relays_fault(settings: Settings) -> str | None:
    try:
        return None if relays.usable(session(), settings) else NONE_MAY_SEND
    except ValueError:
        return NONE_MAY_SEND


def _away(settings: Settings, *, at: datetime) -> RelayAbsence | None:
    """Return the absence of the preferred relay where the others are away as well."""
    known = absences(session(), at=at)
    usable = [name_of(relay) for relay in relays.usable(session(), settings)] if known else []
    away = [known[name] for name in usable if name in known]
    return away[0] if away and len(away) == len(usable) else None


def _nobody_sends(
    mailing: Mailing, looked: Progress, waiting: Waiting | None, *, at: datetime
) -> bool:
    if waiting is not None and waiting.kind is not Wait.RETRIES:
        return False
    if not looked.is_work_open(at=at):
        return False
    signs = (*pulse.signs_of_life(session()), looked.tally.settled, looked.retries)
    return cast("pulse.Pulse", current_app.extensions[PULSE]).silent(mailing.id, signs)


def away_in_words(away: RelayAbsence, *, at: datetime) -> str:
    """Return the sentence about a relay that does not answer."""
    values = {
        "relay": away.relay,
        "since": _time(away.since, at=at),
        "tried": _time(away.tried_at, at=at),
        "because": relay_words.in_words(away.because),
    }
    return str(gettext(relay_words.AWAY, **values))


def in_words(waiting: Waiting, *, at: datetime) -> str:
    """Return the sentence."""
    rate = waiting.per_minute or 0.0
    values = {
        "provider": gettext(NAMES[waiting.provider]) if waiting.provider else "",
        "time": _time(waiting.until, at=at) if waiting.until else "",
        "rate": format_decimal(rate, format="#,##0.#"),
        "first": thousands(FIRST),
        "hourly": thousands(round(rate * 60)),
        "because": relay_words.in_words(waiting.because or ""),
    }
    return str(gettext(SAY[waiting.kind], **values))


def _time(until: datetime, *, at: datetime) -> str:
    return hour(until) if abs(until - at) < _SOON else moment(until)
