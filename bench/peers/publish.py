"""Publishes a task a letter: ``python -m bench.peers.publish FIRST PAST_THE_LAST``."""

import sys

from bench.peers.naive import send_one


def main() -> None:
    """Publish one task after the other, as a launching request would."""
    for delivery_id in range(int(sys.argv[1]), int(sys.argv[2])):
        send_one.delay(delivery_id)


if __name__ == "__main__":
    main()
