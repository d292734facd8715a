"""The command line: prepares the environment, then hands on to the piece that does the work."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from devtools import check, environment, lock, once, run

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": run.main,
    "test": once.test,
    "check": check.main,
    "bench": once.bench,
    "exec": once.execute,
    "lock": lock.main,
}


def main(arguments: list[str], *, usage: str) -> int:
    """The exit status; whatever cannot be done ends as one sentence on stderr."""
    name, rest = (arguments or ["--help"])[0], arguments[1:]
    if name in ("-h", "--help"):
        print(usage)
        return 0
    if name not in COMMANDS:
        sys.exit(f"dev.py knows no command {name!r}; it knows {', '.join(COMMANDS)}.")
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        environment.enter()
        return COMMANDS[name](rest)
    except OSError as error:
        sys.exit(f"dev.py {name} stopped: {error}.")


def _interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    # Raised as an exception, so that every `finally` on the way out stops what it started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(file=sys.stderr)
    sys.exit(128 + number)
