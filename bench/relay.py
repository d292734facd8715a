"""How much of a relay 20 ms away is used: letters a second to connections / round trip.

A letter takes one round trip at least, because its dot has to be answered before a connection is
free again. A TCP proxy in a process of its own delays every chunk by 10 ms each way; connections
are those that the senders hold open there, on average over the mailing, with those that are being
opened or left after their hundredth letter; the round trip is that of a NOOP through the proxy.
"""

import socket
import sys
import time
from pathlib import Path
from statistics import mean, median

from sqlalchemy import Engine

from bench.rig import clinic, mailings, options, people
from bench.rig.far import far_away
from bench.rig.processes import cpu_s
from bench.rig.product import running
from bench.rig.race import watched
from bench.rig.report import Report, Row
from bench.rig.smtp import Sink, sink
from crm.config import from_environ
from devtools import ports
from devtools.terminal import working

LETTERS = 20_000
ONE_WAY_S = 0.010
PINGS = 50
ESTABLISHED = "01"


def main() -> int:
    """Measure, and return the exit status."""
    asked = options.asked(
        "relay", __doc__ or "", letters=LETTERS, quick_letters=4000, minutes="two minutes"
    )
    report = Report("relay", asked)
    with clinic.opened() as engine:
        people.load(engine, asked.letters)
        with sink() as taker:
            for _ in range(asked.rounds):
                report.add(_round(engine, taker, asked.letters))
    report.tell(
        f"The proxy used {report.median('proxy_cpu'):.0%} of a core, round trips took"
        f" {report.median('round_trip_ms'):.1f} ms."
    )
    return report.end({"ratio_to_bound": report.median("to_bound")})


def _round(engine: Engine, taker: Sink, letters: int) -> Row:
    with far_away(taker.port, one_way_s=ONE_WAY_S) as (port, proxy):
        round_trip_s = _round_trip_s(port)
        url = f"smtp://{ports.LOOPBACK}:{port}?starttls=never"
        with running(engine, url):
            before, spent, open_at_once = taker.letters(), cpu_s([proxy]), list[int]()
            mailing_id = mailings.launched(engine, from_environ())
            with working("A far relay"):
                stretch = watched(
                    taker, before, letters, seen=lambda _: open_at_once.append(_connections(port))
                )
            proxy_cpu = (cpu_s([proxy]) - spent) / stretch.seconds
            assert mailings.accepted(engine, mailing_id) == letters
    connections = mean(open_at_once)
    bound = connections / round_trip_s
    return {
        "connections": connections,
        "round_trip_ms": round_trip_s * 1e3,
        "bound/s": bound,
        "product/s": stretch.rate,
        "to_bound": stretch.rate / bound,
        "proxy_cpu": proxy_cpu,
    }


def _round_trip_s(port: int) -> float:
    with socket.create_connection((ports.LOOPBACK, port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = line.makefile("rb")
        answers.readline()
        took = []
        for _ in range(PINGS):
            began = time.perf_counter()
            line.sendall(b"NOOP\r\n")
            answers.readline()
            took.append(time.perf_counter() - began)
    return median(took)


def _connections(port: int) -> int:
    """Return how many connections to a port of this machine are open now."""
    wanted = f"{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[2].endswith(f":{wanted}") and row[3] == ESTABLISHED for row in rows)


if __name__ == "__main__":
    sys.exit(main())
