"""One command with servers around it: the tests, a benchmark, or anything else."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from devtools import assembly, browser, services
from devtools.paths import PYTHON, ROOT

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def test(arguments: list[str]) -> int:
    """Pytest, in a temporary place."""
    with ThreadPoolExecutor(1) as beside:
        installing = beside.submit(browser.ready)
        assembly.ready()
        chromium = installing.result()
    with services.temporary(is_durable=False) as variables:
        command = [str(PYTHON), "-m", "pytest", *_spread(arguments), *arguments]
        return attend(command, variables | chromium)


def _spread(arguments: list[str]) -> list[str]:
    """Over two processes, where all tests run: a few of them are sooner done in one."""
    chosen = any(not argument.startswith("-") for argument in arguments)
    return [] if chosen else ["-n", "2"]


def bench(arguments: list[str]) -> int:
    """A benchmark, in a temporary place that writes to the disk as a clinic's would."""
    known = sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py"))
    if not arguments or arguments[0] not in known:
        sys.exit(
            f"dev.py bench needs the name of a benchmark: {', '.join(known) or 'bench/ has none'}."
        )
    name, *rest = arguments
    assembly.ready()
    with services.temporary(is_durable=True) as variables:
        return attend([str(PYTHON), "-m", f"bench.{name}", *rest], variables)


def execute(arguments: list[str]) -> int:
    """Any command, with this checkout's own servers."""
    if not arguments:
        sys.exit("dev.py exec needs a command: python3 dev.py exec flask --app wsgi crm --help")
    with services.lasting() as variables:
        return attend(arguments, variables)


def attend(command: list[str], variables: services.Variables) -> int:
    """The exit status of a command that shares our terminal, and hears our signals."""
    try:
        child = subprocess.Popen(command, env=variables, cwd=ROOT)
    except (FileNotFoundError, PermissionError) as error:
        sys.exit(f"dev.py cannot run {command[0]!r}: {error.strerror}.")

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT or not _owns_terminal():  # Ctrl-C has reached it already
            child.send_signal(number)

    for number in SIGNALS:
        signal.signal(number, pass_on)
    try:
        status = child.wait()
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # what is stopped now is stopped in full
    return status if status >= 0 else 128 - status


def _owns_terminal() -> bool:
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
