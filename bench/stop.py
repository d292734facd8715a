"""How long a person waits for "you are unsubscribed" while a campaign goes out at full speed.

Each round: a campaign at full speed, first undisturbed, then with opt-outs, then undisturbed again;
it is stopped, and the same number of opt-outs meets an idle system. They are one-click POSTs to the
real site with real tokens of that campaign's letters, a new connection each, RATE of them begun
every second however long the answers take. Percentiles are those of all rounds together, so that
five rounds have a thousand samples; what is left of the campaign's rate is the rounds' median.
"""

import http.client
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

from sqlalchemy import Engine

from bench.rig import clinic, mailings, options, people
from bench.rig.product import running, site
from bench.rig.report import Report, Row, quantile
from bench.rig.smtp import Sink, sink
from crm.config import from_environ
from crm.consent.rules import Channel, Purpose
from crm.consent.tokens import Right, Unsubscribe, mint_unsubscribe, signer
from devtools import ports
from devtools.terminal import working

LETTERS = 500_000
RATE = 20
"""Opt-outs a second."""
SAMPLES = 200
"""A round and phase."""
CALM_S = 5.0
GATHER_S = 2.0
"""Until a campaign that was just launched goes at full speed."""
PATIENCE_S = 30.0
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one opt-out."""

    status: int
    seconds: float


@dataclass(slots=True)
class Doors:
    """Opt-outs at the site. Every address goes once."""

    engine: Engine
    port: int
    unused: list[int]
    answers: dict[str, list[Answer]] = field(default_factory=lambda: {"idle": [], "busy": []})

    def tokens(self, mailing_id: int, how_many: int) -> list[str]:
        """Return tokens of that many of the mailing's letters."""
        chosen, self.unused = self.unused[:how_many], self.unused[how_many:]
        by = signer(Right.UNSUBSCRIBE, from_environ().secret_keys)
        return [
            mint_unsubscribe(by, Unsubscribe(address_id, Purpose.MARKETING, Channel.EMAIL, letter))
            for address_id, letter in mailings.deliveries(self.engine, mailing_id, chosen)
        ]

    def opt_out(self, tokens: list[str]) -> list[Answer]:
        """Begin one every 1/RATE s, and return their answers."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = []
            began = time.perf_counter()
            for number, token in enumerate(tokens):
                time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
                waiting.append(pool.submit(_post, self.port, token))
            return [one.result() for one in waiting]


def main() -> int:
    """Measure, and return the exit status."""
    asked = options.asked(
        "stop", __doc__ or "", letters=LETTERS, quick_letters=40_000, minutes="six minutes"
    )
    report = Report("stop", asked)
    with clinic.opened() as engine:
        people.load(engine, asked.letters)
        with sink() as taker, running(engine, taker.url), site() as port:
            numbers = range(1, asked.letters + 1)
            doors = Doors(engine, port, random.sample(numbers, asked.letters))
            for _ in range(asked.rounds):
                report.add(_round(engine, taker, doors, asked.letters))
    return report.end(_figures(report, doors))


def _round(engine: Engine, taker: Sink, doors: Doors, letters: int) -> Row:
    before = taker.letters()
    mailing_id = mailings.launched(engine, from_environ())
    tokens = doors.tokens(mailing_id, 2 * SAMPLES)
    with working("A campaign at full speed"):
        time.sleep(GATHER_S)
        calm = _rate(taker, CALM_S)
        counted, began = taker.letters(), time.perf_counter()
        busy = doors.opt_out(tokens[:SAMPLES])
        stirred = (taker.letters() - counted) / (time.perf_counter() - began)
        calm = (calm + _rate(taker, CALM_S)) / 2
    if taker.letters() - before > letters - 2 * SAMPLES:
        raise SystemExit("The campaign ended too early: give more --letters.")
    with working("Stopping the campaign"):
        mailings.stop(engine, mailing_id)
    with working("Idle"):
        idle = doors.opt_out(tokens[SAMPLES:])
    doors.answers["busy"] += busy
    doors.answers["idle"] += idle
    return {
        "calm/s": calm,
        "stirred/s": stirred,
        "rate_kept": stirred / calm,
        **{f"busy_{name}": value for name, value in _percentiles(busy).items()},
        **{f"idle_{name}": value for name, value in _percentiles(idle).items()},
    }


def _figures(report: Report, doors: Doors) -> Row:
    idle, busy = doors.answers["idle"], doors.answers["busy"]
    later = sum(answer.status != HTTPStatus.OK for answer in idle + busy)
    at_rest, at_work = _percentiles(idle), _percentiles(busy)
    report.tell(
        f"{len(busy)} opt-outs at full speed, {len(idle)} idle ({at_rest['p50_ms']:.1f} ms, 99 %"
        f" within {at_rest['p99_ms']:.1f} ms); {later} were answered with 202 instead of 200."
    )
    return {
        **at_work,
        "p99_ratio": at_work["p99_ms"] / at_rest["p99_ms"],
        "rate_kept": report.median("rate_kept"),
    }


def _percentiles(answers: list[Answer]) -> Row:
    seconds = [answer.seconds for answer in answers]
    return {"p50_ms": quantile(seconds, 0.5) * 1e3, "p99_ms": quantile(seconds, 0.99) * 1e3}


def _rate(taker: Sink, seconds: float) -> float:
    counted, began = taker.letters(), time.perf_counter()
    time.sleep(seconds)
    return (taker.letters() - counted) / (time.perf_counter() - began)


def _post(port: int, token: str) -> Answer:
    began = time.perf_counter()
    door = http.client.HTTPConnection(ports.LOOPBACK, port, timeout=PATIENCE_S)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    door.request("POST", f"/u/{token}", body="List-Unsubscribe=One-Click", headers=form)
    status = door.getresponse().status
    door.close()
    if status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        raise SystemExit(f"An opt-out was answered with {status}.")
    return Answer(status, time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
