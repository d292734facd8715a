"""A nursery of senders: it is told on its standard input what befalls the next one, and forks it.

``python -m tests.chaos.sender DOTS [--size 4] [--stay]``

It hears ``NTH SIGNAL STEP``: that the sender gets the signal when it comes to the step for the nth
time; or ``0 - -`` for one that nothing befalls. It says the process id, then ``stopped``,
``killed``, ``failed``, or ``ended`` where there was nothing left to do (with ``--stay``: where it
was told to end). After ``stopped`` any line makes it wait for the rest. At each SIGUSR1 its clock
jumps.
"""

import argparse
import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

from sqlalchemy.orm import Session

from crm import clock
from crm.app import create_app
from crm.config import Settings, from_environ
from crm.db import engine_of_a_sender
from crm.delivery import dispatch, insist
from crm.delivery.dispatch import Sender
from crm.delivery.states import Lane
from tests.chaos.steps import STEPS, Stumble
from tests.delivery.racing import write_down_dots

IDLE_S = 0.02
ENOUGH = 10
"""Times in a row that a sender finds nothing to do before it goes home."""
JUMPS = (timedelta(hours=1), timedelta(hours=-1))
"""From the true time."""
LONGEST_S = 80
"""A sender that lives longer is killed by its own alarm: whoever waits for it hears of it."""


def main() -> None:
    arguments = _arguments()
    settings = from_environ()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        nth, by, step = line.rstrip("\n").split(" ", 2)
        child = os.fork()
        if not child:
            if int(nth):
                STEPS[step](_stumble(int(nth), signal.Signals[by]))
            _live(settings, arguments)
        _tell(str(child))
        while (how := _how(child)) == "stopped":
            _tell(how)
            sys.stdin.readline()
        _tell(how)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("dots", type=Path)
    parser.add_argument("--size", type=int, default=4)
    parser.add_argument("--stay", action="store_true")
    return parser.parse_args()


def _tell(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def _how(child: int) -> str:
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return "stopped"
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else "failed"
    return "failed" if os.WEXITSTATUS(status) else "ended"


def _stumble(nth: int, by: signal.Signals) -> Stumble:
    left = [nth]

    def stumble() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), by)

    return stumble


def _live(settings: Settings, arguments: argparse.Namespace) -> None:
    status, jumps = 1, cycle(JUMPS)
    try:
        signal.alarm(LONGEST_S)
        insist.AWAY_S, dispatch.BARRED_S = 0.05, 0.3
        signal.signal(signal.SIGUSR1, lambda *_: _jump(next(jumps)))
        write_down_dots(arguments.dots)
        _work(settings, arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _jump(by: timedelta) -> None:
    clock.now = lambda: datetime.now(UTC) + by


def _work(settings: Settings, arguments: argparse.Namespace) -> None:
    idle = 0
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    engine = engine_of_a_sender(settings.database_url)
    with create_app(settings).app_context(), Session(engine) as session:
        sender = Sender(
            session=session,
            settings=settings,
            lane=Lane.BULK,
            now=lambda: clock.now(),
            stopping=lambda: bool(told),
            size=arguments.size,
        )
        while not told and (arguments.stay or idle < ENOUGH):
            idle = 0 if sender.work() else idle + 1
            time.sleep(IDLE_S if idle else 0)
        sender.close()


if __name__ == "__main__":
    main()
