"""How long a service letter takes while a mailing of a million goes out at full speed.

From the click, before the row is written, to the final dot that passes to the relay: the same
smtp-sink that the campaign goes to, behind a proxy that writes down the moment of each dot. Each
round asks for letters on an idle system, then while the campaign runs, one every 1/RATE s.
"""

import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bench.rig import clinic, mailings, options, people
from bench.rig.far import listened_to
from bench.rig.letter import SERVICE_ENVELOPE, notice
from bench.rig.processes import wait_for
from bench.rig.product import running
from bench.rig.report import Report, Row, quantile
from bench.rig.smtp import Sink, sink
from crm import clock
from crm.config import from_environ
from crm.contacts.models import Address
from crm.delivery import service as delivery
from devtools import ports
from devtools.terminal import working

LETTERS = 1_000_000
SAMPLES = 200
"""A round and phase."""
RATE = 20
"""Service letters a second."""
LANES = ("bulk", "service", "house")
GATHER_S = 2.0
ARRIVAL_S = 60.0
STILL_S = 0.5


@dataclass(slots=True)
class Desk:
    """Asks for service letters, and hears when their dots pass. Each address is asked for once."""

    engine: Engine
    dots: Path
    unused: list[int]
    waits: dict[str, list[float]] = field(default_factory=lambda: {"idle": [], "busy": []})

    def ask(self, samples: int) -> list[float]:
        """Return the seconds from click to dot of each letter."""
        chosen, self.unused = self.unused[:samples], self.unused[samples:]
        clicks = {}
        began = time.monotonic()
        for place, number in enumerate(chosen):
            time.sleep(max(0.0, began + place / RATE - time.monotonic()))
            clicks[people.address_of(number)] = time.monotonic_ns()
            self._commit(number)
        wait_for(
            "the service letters",
            lambda: clicks.keys() <= self._heard().keys(),
            timeout_s=ARRIVAL_S,
        )
        heard = self._heard()
        return [(heard[address] - click) / 1e9 for address, click in clicks.items()]

    def _commit(self, number: int) -> None:
        with Session(self.engine) as session:
            delivery.send_one(
                session,
                notice(from_environ()),
                SERVICE_ENVELOPE,
                address=session.get_one(Address, number),
                contact_id=number,
                at=clock.now(),
            )
            session.commit()

    def _heard(self) -> dict[str, int]:
        rows = (line.split() for line in self.dots.read_text().splitlines())
        return {row[1]: int(row[0]) for row in rows if len(row) > 1}


def main() -> int:
    """Measure, and return the exit status."""
    asked = options.asked(
        "lanes", __doc__ or "", letters=LETTERS, quick_letters=100_000, minutes="five minutes"
    )
    report = Report("lanes", asked)
    with clinic.opened() as engine, tempfile.TemporaryDirectory() as folder:
        people.load(engine, asked.letters)
        dots = Path(folder) / "dots"
        with sink() as taker, listened_to(taker.port, dots) as port:
            beside = {"service": f"smtp://{ports.LOOPBACK}:{port}?starttls=never"}
            with running(engine, taker.url, lanes=LANES, elsewhere=beside):
                people_at_random = random.sample(range(1, asked.letters + 1), asked.letters)
                desk = Desk(engine, dots, people_at_random)
                _rounds(engine, taker, desk, report)
    return report.end(_figures(report, desk))


def _rounds(engine: Engine, taker: Sink, desk: Desk, report: Report) -> None:
    """Pause the one mailing for the idle half of each round, and let it run for the other."""
    with working("Launching the mailing"):
        mailing_id = mailings.launched(engine, from_environ())
    for _ in range(report.options.rounds):
        mailings.pause(engine, mailing_id)
        wait_for("the campaign to pause", lambda: _is_still(taker), timeout_s=ARRIVAL_S)
        with working("Idle"):
            idle = desk.ask(SAMPLES)
        mailings.resume(engine, mailing_id)
        with working("A campaign at full speed"):
            time.sleep(GATHER_S)
            before, began = taker.letters(), time.monotonic()
            busy = desk.ask(SAMPLES)
            rate = (taker.letters() - before) / (time.monotonic() - began)
        desk.waits["idle"] += idle
        desk.waits["busy"] += busy
        at_rest, at_work = _percentiles(idle), _percentiles(busy)
        report.add(
            {
                "campaign/s": rate,
                **{f"busy_{name}": value for name, value in at_work.items()},
                **{f"idle_{name}": value for name, value in at_rest.items()},
            }
        )
        if not _is_under_way(engine, mailing_id):
            raise SystemExit("The campaign ended too early: give more --letters.")


def _figures(report: Report, desk: Desk) -> Row:
    at_rest, at_work = _percentiles(desk.waits["idle"]), _percentiles(desk.waits["busy"])
    report.tell(
        f"{len(desk.waits['busy'])} letters during a campaign of {report.median('campaign/s'):,.0f}"
        f" letters/s, {len(desk.waits['idle'])} idle ({at_rest['p50_ms']:.0f} ms, 99 % within"
        f" {at_rest['p99_ms']:.0f} ms)."
    )
    return {**at_work, "p99_ratio": at_work["p99_ms"] / at_rest["p99_ms"]}


def _percentiles(seconds: list[float]) -> Row:
    return {"p50_ms": quantile(seconds, 0.5) * 1e3, "p99_ms": quantile(seconds, 0.99) * 1e3}


def _is_still(taker: Sink) -> bool:
    before = taker.letters()
    time.sleep(STILL_S)
    return taker.letters() == before


def _is_under_way(engine: Engine, mailing_id: int) -> bool:
    with Session(engine) as session:
        return delivery.find(session, mailing_id).ended_at is None


if __name__ == "__main__":
    sys.exit(main())
