"""How a block is hashed. Changing anything here would break every seal ever made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

GENESIS = bytes(32)


def canonical(row: Mapping[str, Any]) -> bytes:
    """Return one event as bytes that are the same wherever and whenever they are made.

    Empty columns are left out, so that a column added later changes no older event.

    >>> canonical({"id": 7, "act": "contact.viewed", "actor_id": None})
    b'{"act":"contact.viewed","id":7}'
    """
    filled = {name: _plain(value) for name, value in row.items() if value not in (None, {})}
    return json.dumps(filled, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def block_hash(previous: bytes, number: int, events: Iterable[bytes]) -> bytes:
    """Return the SHA-256 that seals ``events``, canonical and in the order of their ids."""
    digest = hashlib.sha256(previous + number.to_bytes(8, "big"))
    for event in events:
        digest.update(len(event).to_bytes(4, "big"))
        digest.update(event)
    return digest.digest()


def spans(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Return sorted ``ids`` as closed spans.

    >>> spans([3, 4, 5, 9])
    [(3, 5), (9, 9)]
    """
    found: list[tuple[int, int]] = []
    for one in ids:
        if found and one == found[-1][1] + 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value
