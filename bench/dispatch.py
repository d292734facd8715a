"""How fast a campaign goes out, with the gate on and every letter written down durably.

Each round takes turns between smtp-source -s 16, the product, the naive design (a Celery task a
letter) and django-post_office, all into one smtp-sink on the same cores. A rate is that of the
letters between the first and the last that the sink accepted; the sink's count, the relay's
answers in the product's books and the size of the mailing have to agree.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from bench.rig import clinic, mailings, options, peers, people, profile
from bench.rig.capture import Size, size_of_a_letter
from bench.rig.processes import cpu_s, family
from bench.rig.product import Product, running
from bench.rig.race import Stretch, watched
from bench.rig.report import Report, Row
from bench.rig.smtp import Sink, sink, source
from bench.rig.tools import NotToBeHad
from crm.config import from_environ
from devtools.terminal import working

LETTERS = 20_000
PROFILE_S = 10
FIGURES = {
    "ratio_to_smtp_source": "to_source",
    "ratio_to_naive": "to_naive",
    "ratio_to_post_office": "to_post_office",
    "letters_per_s": "product",
}


def main() -> int:
    """Measure, and return the exit status."""
    asked = options.asked(
        "dispatch", __doc__ or "", letters=LETTERS, quick_letters=4000, minutes="ten minutes"
    )
    report = Report("dispatch", asked)
    with clinic.opened() as engine:
        people.load(engine, asked.letters)
        size = size_of_a_letter(engine)
        report.tell(
            f"A letter has {size.as_8bit:,} octets as 8-bit text, {size.on_the_wire:,} on the wire."
        )
        with sink() as taker, peers.letter_file(from_environ()) as letter:
            for number in range(asked.rounds):
                ours = _round(engine, taker, report, size, is_first=number == 0)
                report.add(ours | _others(engine, taker, report, letter, ours["product"]))
    return report.end(
        {
            name: report.median(column)
            for name, column in FIGURES.items()
            if column in report.rows[0]
        }
    )


def _others(engine: Engine, taker: Sink, report: Report, letter: Path, ours: float) -> Row:
    few = max(report.options.letters // 10, 200)
    row = {"to_naive": ours / peers.naive_round(taker, letter, letters=few)}
    try:
        rate = peers.post_office_round(taker, letter, engine, letters=report.options.letters)
    except NotToBeHad as fault:
        report.missing = [str(fault)]
        return row
    return row | {"to_post_office": ours / rate}


def _round(engine: Engine, taker: Sink, report: Report, size: Size, *, is_first: bool) -> Row:
    letters = report.options.letters
    before = taker.letters()
    with working("smtp-source"), source(taker, letters=letters, size=size.as_8bit):
        limit = watched(taker, before, letters)
    ours, costs = _product(engine, taker, report, is_first=is_first)
    return {
        "smtp-source": limit.rate,
        "product": ours.rate,
        "to_source": ours.rate / limit.rate,
        **costs,
    }


def _product(engine: Engine, taker: Sink, report: Report, *, is_first: bool) -> tuple[Stretch, Row]:
    """Send one mailing; return its stretch and the processor time of each part, in µs a letter."""
    letters = report.options.letters
    with contextlib.ExitStack() as stack:
        product = stack.enter_context(running(engine, taker.url))
        if is_first and report.options.profile:
            stack.enter_context(_profiled(product, report))
        parts = {
            "senders_us": product.workers["bulk"],
            "postgres_us": clinic.postmaster(engine),
            "sink_us": taker.pid,
        }
        before, spent = taker.letters(), _costs(parts)
        began = time.perf_counter()
        mailing_id = mailings.launched(engine, from_environ())
        with working("The product"):
            stretch = watched(taker, before, letters)
        took = mailings.accepted(engine, mailing_id)
        ended = time.perf_counter()
        assert took == letters == taker.letters() - before
        costs = {name: (now - spent[name]) / letters * 1e6 for name, now in _costs(parts).items()}
    return stretch, {"launch_to_end": letters / (ended - began), **costs}


def _costs(parts: dict[str, int]) -> Row:
    return {name: cpu_s(family(pid)) for name, pid in parts.items()}


@contextlib.contextmanager
def _profiled(product: Product, report: Report) -> Iterator[None]:
    """Watch one sender while the block lasts, and tell its hot spots afterwards."""
    output = report.options.profile
    assert output is not None
    try:
        spying = profile.begin(product.senders[0], seconds=PROFILE_S, output=output)
    except NotToBeHad as fault:
        report.missing.append(str(fault))
        yield
        return
    yield
    spying.send_signal(signal.SIGINT)
    spying.wait(30)
    for name, own, whole in profile.hot_spots(output):
        report.tell(f"{own:6.1%} own {whole:6.1%} in all  {name}")


if __name__ == "__main__":
    sys.exit(main())
