"""What a developer sees while waiting."""

import contextlib
import sys
import threading
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
    rewrites = sys.stderr.isatty()
    template, wait_s = ("\r{} … {} s", 1) if rewrites else ("{} … {} s\n", LATER_LINES_S)
    gone_s = 1
    if done.wait(gone_s):
        return
    while True:
        print(template.format(what, gone_s), end="", file=sys.stderr, flush=True)
        if done.wait(wait_s):
            break
        gone_s += wait_s
    if rewrites:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
