"""What is wrong, in sentences that say what to do: the first thing on the operator's page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from crm.delivery.states import Lane, MailingState, Mishap
from crm.errors import later
from crm.operations.letters import LaneFigures
from crm.operations.look import Look
from crm.operations.queues import CROWDED
from crm.relays.models import RelayAbsence
from crm.relays.rules import NONE_MAY_SEND
from crm.relays.words import AWAY
from crm.safekeeping.rules import Hold

SERVICE_WAITS: Final = timedelta(minutes=2)
STOPS_WAIT: Final = timedelta(minutes=1)
SEALS_WAIT: Final = timedelta(minutes=10)

UNREADABLE: Final = later(
    "The setting SMTP_URL cannot be read, so nothing is sent. Whoever runs the server finds out "
    "why with “flask --app wsgi crm doctor”."
)
LEFT_AFTER_A_STOP: Final = later(
    "A letter left after its addressee had refused, %(seconds)s s later. Pause all campaigns and "
    "report it: this must never happen."
)
BROKER_AWAY: Final = later(
    "Valkey does not answer. Letters that wait still go, but no campaign starts, and dead senders "
    "are not noticed. Start it on the server."
)
BROKER_FULL: Final = later(
    "Valkey has no memory left and takes no messages. Letters that wait still go, but no campaign "
    "starts, and dead senders are not noticed. Raise its maxmemory, or find out what fills it."
)
CROWDED_HOUSE: Final = later(
    "Housekeeping does not keep up: %(count)s messages wait. Restart vezhlivo-worker@house."
)
SILENT: Final = {
    "bulk": later(
        "No sender of campaigns is alive: campaigns stand still. Start vezhlivo-worker@bulk."
    ),
    "service": later(
        "No sender of service letters is alive: confirmations and answers wait. "
        "Start vezhlivo-worker@service."
    ),
    "house": later(
        "Housekeeping is not alive: no campaign starts, and dead senders are not noticed. "
        "Start vezhlivo-worker@house."
    ),
    "beat": later(
        "The clock is not alive: no campaign starts, and dead senders are not noticed. "
        "Start vezhlivo-beat."
    ),
}
SERVICE_LATE: Final = later(
    "A service letter has been waiting for %(minutes)s min. Look below whether its sender is alive "
    "and the mail relay is at rest."
)
SERVICE_PUT_OFF: Final = later(
    "Service letters that did not leave at the second try: %(count)s. They are tried again by "
    "themselves, five times in all; one of the reasons: %(because)s."
)
SERVICE_FAILED: Final = later(
    "Service letters that failed today, not counting addresses that do not exist: %(count)s. The "
    "history on each person’s card says why; tell them in another way."
)
RELAY_RESTS: Final = later(
    "The mail relay takes no letters for now: %(because)s. Campaigns go on at %(time)s by "
    "themselves; service letters are tried all the same."
)
ABOUT_US: Final = later(
    "Refusals because of us since yesterday: %(count)s. Mail providers take these letters for "
    "unwanted, unproven or faulty; each campaign’s page quotes them. Whoever runs the server "
    "looks with “flask --app wsgi crm doctor”."
)
MAILINGS_HELD: Final = later(
    "Campaigns held by the system: %(count)s. Each says why on its page, and waits for a decision."
)
STOPS_NOT_KEPT: Final = later(
    "Refusals that wait to be written into the journal: %(count)s. They are obeyed; look at the "
    "state folder’s disk."
)
UNCERTAIN: Final = later(
    "Letters of which nobody knows whether they arrived, today: %(count)s. They are not sent again "
    "by themselves; each campaign’s page lists them and sends them again if you decide so."
)
OVERCOME: Final = {
    Mishap.SENDER_DIED: later(
        "Senders died or stood still since yesterday, the last was given up at %(time)s. All their "
        "letters are accounted for. Uncertain: %(uncertain)s, queued again: %(queued_again)s."
    ),
    Mishap.DATABASE_AWAY: later(
        "The database interrupted senders since yesterday, the last time at %(time)s. "
        "Interruptions: %(count)s, the longest %(seconds)s s. They waited and went on by "
        "themselves; nothing was lost. Where nobody restarted PostgreSQL, its log says why."
    ),
    Mishap.LINE_LOST: later(
        "The mail relay broke off connections or did not answer in time since yesterday, the last "
        "time at %(time)s. Letters that were held up: %(count)s. They go again by themselves."
    ),
    Mishap.CLOCK_JUMPED: later(
        "The clock of a machine that sends has jumped since yesterday, the last time at %(time)s, "
        "by %(minutes)s min at most. No letter was lost by it; see that the machine’s time is "
        "kept right (chrony, systemd-timesyncd)."
    ),
}
NOT_SEALED: Final = later(
    "The logs have not been sealed for %(minutes)s min. Look below whether housekeeping is alive."
)


_GRAVITY: Final = ("bad", "wait", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be."""

    say: str
    """A msgid, filled by ``values``; ``words.said`` puts moments and reasons in words."""
    values: dict[str, Any] = field(default_factory=dict)
    endpoint: str | None = None
    """The page where something can be done about it."""
    kind: str = "bad"
    """``bad``: letters stand still or a promise is broken; ``wait``: look at it; ``info``: it was
    overcome by itself, and all is well."""


def findings(look: Look) -> list[Finding]:
    """Return all that is wrong, the gravest first, and then what was overcome by itself."""
    found = [
        *_of_stops(look),
        *barriers(
            look.hold,
            look.trouble,
            has_relays=look.relays is not None,
            usable=look.usable,
            away=look.away,
        ),
        *_of_relays(look),
        *_of_programs(look),
        *_of_letters(look),
        *_of_logs(look),
        *_of_mishaps(look),
    ]
    return sorted(found, key=lambda one: _GRAVITY.index(one.kind))


def is_well(found: Sequence[Finding]) -> bool:
    """Return whether nothing is wrong now."""
    return all(one.kind == "info" for one in found)


def barriers(
    hold: Hold | None,
    trouble: str | None,
    *,
    has_relays: bool,
    usable: int,
    away: Sequence[RelayAbsence],
) -> Iterator[Finding]:
    """Yield why no letter may leave at all: what every page of the staff says, too."""
    if hold is not None:
        yield Finding(say=hold.say, values=dict(hold.values), endpoint="installation.show")
    if trouble is not None:
        yield Finding(say=trouble, endpoint="installation.show")
    if not has_relays:
        yield Finding(say=UNREADABLE, endpoint="relays.index")
    elif not usable:
        yield Finding(say=NONE_MAY_SEND, endpoint="relays.index")
    elif len(away) == usable:
        yield from (_away(one, kind="bad") for one in away)


def _of_relays(look: Look) -> Iterator[Finding]:
    if len(look.away) < look.usable:
        yield from (_away(one, kind="wait") for one in look.away)


def _away(one: RelayAbsence, *, kind: str) -> Finding:
    values = {
        "relay": one.relay,
        "since": one.since,
        "tried": one.tried_at,
        "because": one.because,
    }
    return Finding(say=AWAY, values=values, endpoint="relays.index", kind=kind)


def _of_stops(look: Look) -> Iterator[Finding]:
    if look.gap_long.proved:
        seconds = max(1, round(look.gap_long.proved.total_seconds()))
        yield Finding(say=LEFT_AFTER_A_STOP, values={"seconds": seconds})


def _of_programs(look: Look) -> Iterator[Finding]:
    if look.queues is None:
        yield Finding(say=BROKER_AWAY)
    elif look.is_full:
        yield Finding(say=BROKER_FULL)
    elif look.queues["house"] >= CROWDED and look.alive["house"]:
        yield Finding(say=CROWDED_HOUSE, values={"count": look.queues["house"]})
    for kind, living in look.alive.items():
        if not living:
            yield Finding(say=SILENT[kind])


def _of_letters(look: Look) -> Iterator[Finding]:
    waits = _since(look.lanes[Lane.SERVICE].oldest_at, look.at)
    if waits > SERVICE_WAITS:
        yield Finding(say=SERVICE_LATE, values={"minutes": _minutes(waits)}, kind="wait")
    yield from _of_service_letters(look.lanes[Lane.SERVICE])
    for one in look.resting:
        if one.name == "relay":
            yield Finding(
                say=RELAY_RESTS,
                values={"time": one.rest_until, "because": one.because or ""},
                endpoint="paces.index",
                kind="wait",
            )
    if look.about_us:
        yield Finding(
            say=ABOUT_US, values={"count": look.about_us}, endpoint="campaigns.index", kind="wait"
        )
    if held := look.mailings[MailingState.HELD]:
        yield Finding(
            say=MAILINGS_HELD, values={"count": held}, endpoint="campaigns.index", kind="wait"
        )


def _of_service_letters(figures: LaneFigures) -> Iterator[Finding]:
    if figures.put_off:
        values = {"count": figures.put_off, "because": figures.put_off_because or ""}
        yield Finding(say=SERVICE_PUT_OFF, values=values, kind="wait")
    if figures.failed_today:
        yield Finding(say=SERVICE_FAILED, values={"count": figures.failed_today}, kind="wait")


def _of_logs(look: Look) -> Iterator[Finding]:
    if _since(look.unjournalled.since, look.at) > STOPS_WAIT:
        yield Finding(
            say=STOPS_NOT_KEPT,
            values={"count": look.unjournalled.waiting},
            endpoint="installation.show",
            kind="wait",
        )
    waits = max(_since(one.since, look.at) for one in look.unsealed.values())
    if waits > SEALS_WAIT:
        yield Finding(say=NOT_SEALED, values={"minutes": _minutes(waits)}, kind="wait")


def _of_mishaps(look: Look) -> Iterator[Finding]:
    if uncertain := look.lanes[Lane.BULK].uncertain_today:
        yield Finding(
            say=UNCERTAIN,
            values={"count": uncertain},
            endpoint="campaigns.index",
            kind="info",
        )
    for one in look.mishaps:
        values: dict[str, Any] = {
            "time": one.last_at,
            "count": one.times,
            "seconds": max(1, round(one.longest_s)),
            "minutes": round(one.longest_s / 60),
            "uncertain": one.uncertain,
            "queued_again": one.queued_again,
        }
        yield Finding(say=OVERCOME[one.kind], values=values, kind="info")


def _since(moment: datetime | None, at: datetime) -> timedelta:
    return max(timedelta(), at - moment) if moment else timedelta()


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)
