"""A sender as a process of its own, which writes down when it wrote each dot.

``python -m tests.delivery.racing LOG [--pause-s 0.005] [--without-gate] [--lane bulk]``

The pause stands between the look at consent and the dots, to be aimed at. Replacing the gate is
possible here and nowhere else: no setting of the product does it.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from crm import clock
from crm.app import create_app
from crm.config import from_environ
from crm.consent import gate
from crm.db import engine_of_a_sender
from crm.delivery import insist, look
from crm.delivery.dispatch import Sender
from crm.delivery.states import Lane
from crm.mail.smtp import Fleet, Letter


def main() -> None:
    arguments = _arguments()
    insist.AWAY_S = 0.05
    write_down_dots(arguments.log)
    if arguments.pause_s:
        _pause_after_the_look(arguments.pause_s)
    if arguments.without_gate:
        gate.ENTER = "SELECT 1"
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    settings = from_environ()
    engine = engine_of_a_sender(settings.database_url)
    with create_app(settings).app_context(), Session(engine) as session:
        sender = Sender(
            session=session,
            settings=settings,
            lane=Lane(arguments.lane),
            now=clock.now,
            stopping=lambda: bool(ended),
        )
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while not ended:
            if not sender.work():
                time.sleep(0.02)
        sender.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("--pause-s", type=float, default=0.0)
    parser.add_argument("--without-gate", action="store_true")
    parser.add_argument("--lane", default="bulk")
    return parser.parse_args()


def write_down_dots(log: Path) -> None:
    recipients: dict[int, str] = {}
    real_hand_in, real_dot = Fleet.hand_in, Fleet.dot
    journal = log.open("ab", buffering=0)

    def hand_in(fleet: Fleet[int], key: int, letter: Letter) -> None:
        recipients[key] = letter.recipient
        real_hand_in(fleet, key, letter)

    def dot(fleet: Fleet[int], key: int) -> bool:
        at_ns = time.monotonic_ns()
        written = real_dot(fleet, key)
        if written:
            journal.write(f"{at_ns} {recipients[key]}\n".encode())
        return written

    Fleet.hand_in, Fleet.dot = hand_in, dot  # type: ignore[assignment,method-assign]


def _pause_after_the_look(seconds: float) -> None:
    real_look = look.enter_and_look

    def slow_look(*arguments: Any, **named: Any) -> Any:
        found = real_look(*arguments, **named)
        time.sleep(seconds)
        return found

    look.enter_and_look = slow_look


if __name__ == "__main__":
    main()
