"""The operator's figures for Prometheus: the same look as the page's, as numbers.

No label tells of a person, a clinic or a domain, and each takes a fixed set of values.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, Literal

from crm.delivery.states import Lane
from crm.operations.exposition import Metric, Sample
from crm.operations.look import Look

RESTS: Final = ("relay", "provider", "domain")
ENDS: Final = ("accepted", "withheld", "failed", "uncertain")


def metrics(look: Look) -> Iterator[Metric]:
    """Yield every metric."""
    yield from _letters(look)
    yield from _programs(look)
    yield from _stops(look)
    yield from _barriers(look)


def _letters(look: Look) -> Iterator[Metric]:
    ended = [
        Sample(getattr(figures, end), {"lane": lane.value, "state": end})
        for lane, figures in look.lanes.items()
        for end in ENDS
    ]
    yield Metric("letters_total", "counter", "Letters that have ended, by how.", ended)
    for name, attribute, help_ in (
        ("letters_waiting", "waiting", "Letters that no sender has taken yet."),
        ("letters_in_hand", "in_hand", "Letters of open windows, at most so many on the wire."),
        ("retries", "retries", "Letters that wait for another try."),
        ("retries_due", "retries_due", "Letters whose next try is due."),
        ("leases_live", "live", "Leases held by senders."),
    ):
        yield _by_lane(look, name, "gauge", help_, attribute)
    yield _by_lane(look, "leases_dead_total", "counter", "Leases of senders that died.", "dead")
    oldest = [
        Sample(_age(figures.oldest_at, look.at), {"lane": lane.value})
        for lane, figures in look.lanes.items()
    ]
    help_ = "How long the mailing, or the next try, of a waiting letter has been due."
    yield Metric("oldest_waiting_seconds", "gauge", help_, oldest)
    yield _one("refused_about_us", "Refusals since yesterday that are our fault.", look.about_us)
    states = [Sample(count, {"state": state.value}) for state, count in look.mailings.items()]
    yield Metric("mailings", "gauge", "Mailings that are not finished.", states)


def _programs(look: Look) -> Iterator[Metric]:
    living = [Sample(len(found), {"kind": kind}) for kind, found in look.alive.items()]
    yield Metric("workers", "gauge", "Processes that said lately that they live.", living)
    yield _one("broker_up", "Whether the broker answers.", look.queues is not None)
    waiting = [Sample(count, {"queue": name}) for name, count in (look.queues or {}).items()]
    yield Metric("queue_messages", "gauge", "Doorbells that nobody has heard yet.", waiting)


def _stops(look: Look) -> Iterator[Metric]:
    gaps = {"1": look.gap_today, "30": look.gap_long}
    yield _gaps("stops", "Refusals of today and of 30 days.", {d: g.stops for d, g in gaps.items()})
    yield _gaps(
        "stop_gap_seconds",
        "Longest time from a refusal to the answer to a letter that left after it; must be 0.",
        {days: gap.proved.total_seconds() for days, gap in gaps.items()},
    )
    yield _gaps(
        "answers_after_stop",
        "Letters the mail server answered after a refusal; they may have left before it.",
        {days: gap.letters for days, gap in gaps.items()},
    )
    yield _gaps(
        "answers_after_stop_unproved",
        "Of these, the ones of which no order at the gate is known.",
        {days: gap.unproved for days, gap in gaps.items()},
    )
    yield _one("stops_unjournalled", "Stops not in the journal yet.", look.unjournalled.waiting)
    logs = [
        Sample(_age(waits.since, look.at), {"log": log.value})
        for log, waits in look.unsealed.items()
    ]
    yield Metric("unsealed_seconds", "gauge", "How long a log's first event waits.", logs)


def _barriers(look: Look) -> Iterator[Metric]:
    yield _one("installation_held", "Whether a person must release it.", look.hold is not None)
    yield _one("journal_trouble", "Whether it keeps letters back.", look.trouble is not None)
    if look.free_bytes is not None:
        yield _one("journal_free_bytes", "Free on the journal's disk.", look.free_bytes)
    yield _one("relays_usable", "Relays that may be given letters.", look.usable)
    yield _one("relays_away", "How many of these do not answer.", len(look.away))
    resting = [Sample(look.rests[what], {"of": what}) for what in RESTS]
    yield Metric("rests", "gauge", "Destinations left alone for a while.", resting)


def _by_lane(
    look: Look, name: str, kind: Literal["counter", "gauge"], help_: str, attribute: str
) -> Metric:
    samples = [Sample(getattr(look.lanes[lane], attribute), {"lane": lane.value}) for lane in Lane]
    return Metric(name, kind, help_, samples)


def _gaps(name: str, help_: str, by_days: Mapping[str, float]) -> Metric:
    samples = [Sample(value, {"days": days}) for days, value in by_days.items()]
    return Metric(name, "gauge", help_, samples)


def _one(name: str, help_: str, value: float) -> Metric:
    return Metric(name, "gauge", help_, [Sample(value)])


def _age(since: datetime | None, at: datetime) -> float:
    return max(0.0, (at - since).total_seconds()) if since else 0.0
