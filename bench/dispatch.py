"""How fast a campaign goes out, with the gate on and every letter written down durably.

Each round takes turns between smtp-source -s 16, the product, the naive design (a Celery task a
letter) and django-post_office, all into one smtp-sink on the same cores. A rate is that of the
letters between the first and the last that the sink accepted; the sink's count, the relay's
answers in the product's books and the size of the mailing have to agree.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from bench.rig import clinic, mailings, options, peers, people, profile
from bench.rig.capture import Size, size_of_a_letter
from bench.rig.processes import cpu_s, family
from bench.rig.product import Product, running
from bench.rig.race import watched
from bench.rig.report import Report, Row, today, write
from bench.rig.smtp import Sink, sink, source
from bench.rig.tools import NotToBeHad
from crm.config import from_environ
from devtools.terminal import working

LETTERS = 20_000
PROFILE_S = 10
FLAGS = {"profile": "show where a sender's time goes, by py-spy, in one more mailing"}
A_MONTH = 8
"""The cap that clinics begin with."""
FIGURES = {
    "ratio_to_smtp_source": "to_source",
    "ratio_to_naive": "to_naive",
    "ratio_to_post_office": "to_post_office",
    "letters_per_s": "product",
}


def main() -> int:
    """Measure, and return the exit status."""
    asked = options.asked(
        "dispatch",
        __doc__ or "",
        letters=LETTERS,
        quick_letters=4000,
        minutes="ten minutes",
        flags=FLAGS,
    )
    report = Report("dispatch", asked)
    with clinic.opened() as engine:
        people.load(engine, asked.letters * (asked.rounds + 1))
        size = size_of_a_letter(engine)
        report.tell(
            f"A letter has {size.as_8bit:,} octets in 8-bit, which smtp-sink takes;"
            f" {size.on_the_wire:,} in quoted-printable."
        )
        with sink() as taker, peers.letter_file(from_environ()) as letter:
            contest = Contest(engine, taker, report, letter)
            for number in range(asked.rounds):
                limit = contest.limit(size)
                ours = contest.ours(number)
                report.add({"smtp-source": limit, **ours, **contest.ratios(limit, ours["product"])})
            if "profile" in asked.flags:
                _profile(engine, taker, report)
    return report.end(_figures(report))


def _figures(report: Report) -> Row:
    told = [f"{name} {report.median(name):.0f}" for name in report.rows[0] if name.endswith("_us")]
    report.tell("Processor time a letter: " + ", ".join(told) + ".")
    report.tell(f"With the frequency cap on: {report.median('capped'):,.0f} letters/s.")
    known = {name: column for name, column in FIGURES.items() if column in report.rows[0]}
    return {name: report.median(column) for name, column in known.items()}


@dataclass(frozen=True, slots=True)
class Contest:
    """Those who take turns, and where their letters go."""

    engine: Engine
    taker: Sink
    report: Report
    letter: Path

    @property
    def letters(self) -> int:
        return self.report.options.letters

    def limit(self, size: Size) -> float:
        """Return the rate of smtp-source."""
        before = self.taker.letters()
        sending = source(self.taker, letters=self.letters, size=size.as_8bit)
        with working("smtp-source"), sending:
            return watched(self.taker, before, self.letters).rate

    def ours(self, number: int) -> Row:
        """Return the product's rates, and the processor time of each part in µs a letter.

        With the cap on it writes to people who have had no letter yet.
        """
        everyday = range(1, self.letters + 1)
        unwritten = range(self.letters * (number + 1) + 1, self.letters * (number + 2) + 1)
        with running(self.engine, self.taker.url) as product:
            row = self._mailing(product, everyday)
            clinic.cap(self.engine, a_month=A_MONTH)
            row["capped"] = self._mailing(product, unwritten)["product"]
            clinic.cap(self.engine, a_month=0)
            return row

    def _mailing(self, product: Product, to: range) -> Row:
        parts = {
            "senders_us": product.workers["bulk"],
            "postgres_us": clinic.postmaster(self.engine),
            "sink_us": self.taker.pid,
        }
        before, spent, began = self.taker.letters(), _costs(parts), time.perf_counter()
        mailing_id = mailings.launched(self.engine, from_environ(), to=to)
        with working("The product"):
            stretch = watched(self.taker, before, self.letters)
        took = mailings.accepted(self.engine, mailing_id)
        ended = time.perf_counter()
        assert took == self.letters == self.taker.letters() - before
        costs = {
            name: (now - spent[name]) / self.letters * 1e6 for name, now in _costs(parts).items()
        }
        whole = self.letters / (ended - began)
        return {"product": stretch.rate, "launch_to_end": whole, **costs}

    def ratios(self, limit: float, ours: float) -> Row:
        """Return how often ours is the limit's rate, and the others'."""
        few = max(self.letters // 10, 200)
        naive = peers.naive_round(self.taker, self.letter, letters=few)
        row = {"to_source": ours / limit, "to_naive": ours / naive}
        try:
            rate = peers.post_office_round(
                self.taker, self.letter, self.engine, letters=self.letters
            )
        except NotToBeHad as fault:
            self.report.missing = [str(fault)]
            return row
        return row | {"to_post_office": ours / rate}


def _costs(parts: dict[str, int]) -> Row:
    return {name: cpu_s(family(pid)) for name, pid in parts.items()}


def _profile(engine: Engine, taker: Sink, report: Report) -> None:
    """Tell where a sender's time goes, in a mailing that nothing is measured of."""
    with running(engine, taker.url) as product:
        mailings.launched(engine, from_environ())
        try:
            tables = profile.table(product.senders[0], seconds=PROFILE_S)
        except NotToBeHad as fault:
            report.tell(str(fault))
            return
    print("\n".join(["", *tables, ""]))
    if report.options.write:
        write("profile", [f"{today()}.", "", *tables])


if __name__ == "__main__":
    sys.exit(main())
