"""What a developer sees while waiting."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

LATER_LINES_S = 15


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show `what` on stderr, with the seconds gone, once the block has taken longer than one."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(what, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(what: str, done: threading.Event) -> None:
    began = time.monotonic()
    rewrites = sys.stderr.isatty()
    wait_s = 1.0
    while not done.wait(wait_s):
        gone = f"{what} … {time.monotonic() - began:.0f} s"
        print(f"\r{gone}" if rewrites else gone, end="" if rewrites else "\n", file=sys.stderr)
        sys.stderr.flush()
        wait_s = 1.0 if rewrites else LATER_LINES_S
    if rewrites:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
