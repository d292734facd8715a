"""`python -m devtools.catcher --smtp PORT [--http PORT] --store DIR`: until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal
from pathlib import Path

from devtools.catcher import smtp
from devtools.catcher.store import Store

LOOPBACK = "127.0.0.1"
KEEP = 20_000


def main() -> None:
    """Nothing listens beyond this machine. A port that was left open is printed once it listens."""
    arguments = _arguments()
    store = Store(arguments.store, keep=arguments.keep)
    asyncio.run(_serve(store, smtp_port=arguments.smtp, http_port=arguments.http))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="devtools.catcher")
    parser.add_argument("--smtp", type=int, required=True, metavar="PORT", help="0 takes any")
    parser.add_argument("--http", type=int, metavar="PORT", help="without it there are no pages")
    parser.add_argument("--store", type=Path, required=True, metavar="DIR")
    parser.add_argument("--keep", type=int, default=KEEP, help="newest letters; 0 keeps all")
    return parser.parse_args()


async def _serve(store: Store, *, smtp_port: int, http_port: int | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    store.open_for_writing()
    server = await smtp.listen(store, host=LOOPBACK, port=smtp_port)
    if http_port is not None:
        from devtools.catcher import pages  # noqa: PLC0415 - a test's sink starts without Flask

        pages.serve(store, host=LOOPBACK, port=http_port)
    if smtp_port == 0:
        print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()
    server.close()
    store.close()


if __name__ == "__main__":
    main()
