"""Whether a mailing of a million costs more per letter at its end than at its beginning.

First the launch, from the audience to queued rows, takes turns with a bare INSERT .. SELECT of as
many rows under the same keys and foreign keys. Then one such mailing is sent to its end: the
processor time of the senders and of PostgreSQL, a letter, in its first and its last tenth, and the
memory of a sender. The sink is not counted.
"""

import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise

from sqlalchemy import Connection, Engine, text

from bench.rig import clinic, mailings, options, people
from bench.rig.processes import cpu_s, family, peak_rss_mb, pss_mb
from bench.rig.product import running
from bench.rig.race import watched
from bench.rig.report import Report, Row
from bench.rig.smtp import sink
from crm.config import from_environ
from devtools.terminal import working

LETTERS = 1_000_000
EARLY = 10_000
"""Letters after which a sender's memory is looked at for the first time."""


def main() -> int:
    """Measure, and return the exit status."""
    asked = options.asked(
        "growth", __doc__ or "", letters=LETTERS, quick_letters=50_000, minutes="six minutes"
    )
    report = Report("growth", asked)
    with clinic.opened() as engine:
        people.load(engine, asked.letters)
        for _ in range(asked.rounds):
            report.add(_launch_round(engine))
        clinic.tidy(engine)
        sent = _sent(engine, report)
    return report.end({**sent, "launch_ratio": report.median("ratio")})


def _launch_round(engine: Engine) -> Row:
    with engine.begin() as connection:
        _make_bare(connection)
    with working("A bare INSERT .. SELECT"):
        began = time.perf_counter()
        with engine.begin() as connection:
            connection.execute(text(BARE), {"mailing_id": 1})
        bare_s = time.perf_counter() - began
    mailings.campaign_due(engine, from_environ())
    with working("The launch"):
        began = time.perf_counter()
        mailings.launch_due(engine)
        launch_s = time.perf_counter() - began
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("TRUNCATE mailings, bare_mailings CASCADE"))
    return {"bare_s": bare_s, "launch_s": launch_s, "ratio": launch_s / bare_s}


def _make_bare(connection: Connection) -> None:
    """Make a twin of the deliveries, keys and foreign keys and all."""
    for statement in TWIN:
        connection.execute(text(statement))
    keys = connection.execute(text(FOREIGN_KEYS)).all()
    for name, definition in keys:
        there = definition.replace("REFERENCES mailings", "REFERENCES bare_mailings")
        connection.execute(text(f"ALTER TABLE bare_deliveries ADD CONSTRAINT bare_{name} {there}"))


TWIN = (
    "DROP TABLE IF EXISTS bare_deliveries, bare_mailings",
    "CREATE TABLE bare_mailings (id bigint PRIMARY KEY)",
    "INSERT INTO bare_mailings VALUES (1)",
    "CREATE TABLE bare_deliveries (LIKE deliveries INCLUDING ALL)",
)
FOREIGN_KEYS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = 'deliveries'::regclass AND contype = 'f'
"""
BARE = """
    INSERT INTO bare_deliveries (mailing_id, address_id, contact_id, provider)
    SELECT :mailing_id, address_id, contact_id, 'other' FROM contact_addresses
"""


@dataclass(slots=True)
class Watch:
    """What senders and PostgreSQL have cost at each tenth of a mailing, and a sender's memory."""

    roots: dict[str, int]
    """By name, the process from which the others of its kind descend."""
    senders: list[int]
    letters: int
    marks: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    """Letters accepted, and the seconds of processor time until then."""
    early_mb: float = 0.0

    def __call__(self, count: int) -> None:
        """Hear how many letters have been accepted; the first call is after the launch."""
        if count >= len(self.marks) * self.letters // 10:
            spent = {name: cpu_s(family(root)) for name, root in self.roots.items()}
            self.marks.append((count, spent))
        if not self.early_mb and count >= min(EARLY, self.letters // 10):
            self.early_mb = max(map(peak_rss_mb, self.senders))

    def us_a_letter(self, name: str) -> list[float]:
        """Return what a letter cost in each tenth."""
        return [
            (spent[name] - spent_before[name]) / (count - count_before) * 1e6
            for (count_before, spent_before), (count, spent) in pairwise(self.marks)
        ]


def _sent(engine: Engine, report: Report) -> Row:
    """Send a whole mailing; the house launches it at its next tick."""
    letters = report.options.letters
    with sink() as taker, running(engine, taker.url) as product:
        roots = {"senders": product.workers["bulk"], "PostgreSQL": clinic.postmaster(engine)}
        watch = Watch(roots, product.senders, letters)
        before = taker.letters()
        mailing_id = mailings.campaign_due(engine, from_environ())
        with working("Sending"):
            stretch = watched(taker, before, letters, seen=watch)
        peak, share = max(map(peak_rss_mb, watch.senders)), max(map(pss_mb, watch.senders))
        assert mailings.accepted(engine, mailing_id) == letters
    report.tell(f"{stretch.rate:,.0f} letters/s over all; a sender's own share is {share:.0f} MB.")
    costs = [sum(tenth) for tenth in zip(*_told(watch, report), strict=True)]
    return {
        "cost_ratio": costs[-1] / costs[0],
        "peak_mb": peak,
        "memory_growth": peak / watch.early_mb,
    }


def _told(watch: Watch, report: Report) -> list[list[float]]:
    costs = {name: watch.us_a_letter(name) for name in watch.roots}
    for name, tenths in costs.items():
        told = " ".join(f"{cost:.0f}" for cost in tenths)
        report.tell(f"Processor time a letter, tenth by tenth, of {name}: {told} µs.")
    return list(costs.values())


if __name__ == "__main__":
    sys.exit(main())
