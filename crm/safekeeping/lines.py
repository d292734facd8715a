r"""A line of the journal: its length, its record, and a mark that ties it to the line before. Pure.

    127 {"kind":"handing", ...} 8J0b...\n

The mark is an HMAC over the mark before and the record: whoever edits, inserts or drops a line
without the key is found by the reader. The first line of a file names the key.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

VERSION: Final = 1
START: Final = bytes(16)
"""What the first line's mark follows."""
MARK: Final = 16
TOKEN: Final = 16
"""Bytes kept of a token where letters are counted: half of it tells people apart well enough."""


class Torn(ValueError):  # noqa: N818 - what the line is
    """Not a whole line: a crash or a full disk cut it."""


def mark(before: bytes, record: bytes, key: bytes) -> bytes:
    """Return the mark of a record that follows the line with the mark ``before``."""
    return hmac.digest(key, before + record, "sha256")[:MARK]


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record as one line of ASCII, without its end."""
    return json.dumps(record, separators=(",", ":")).encode()


def line(record: bytes, sealed: bytes) -> bytes:
    """Return the whole line."""
    return b"%d %b %b\n" % (len(record), record, base64.b64encode(sealed))


def parse(line: bytes) -> tuple[bytes, bytes]:
    """Return the record's bytes and the mark of one line. Raises Torn.

    >>> parse(line(b'{"kind":"release"}', START)) == (b'{"kind":"release"}', START)
    True
    """
    length, space, rest = line.partition(b" ")
    if not (space and length.isdigit() and line.endswith(b"\n")):
        raise Torn
    record, sealed = rest[: int(length)], rest[int(length) + 1 : -1]
    try:
        stored = base64.b64decode(sealed, validate=True)
    except ValueError as error:
        raise Torn from error
    if len(record) != int(length) or len(stored) != MARK:
        raise Torn
    return record, stored


def packed(tokens: list[bytes]) -> str:
    """Return many tokens as one word.

    >>> unpacked(packed([b"a" * 32, b"b" * 32])) == [b"a" * 16, b"b" * 16]
    True
    """
    return base64.b64encode(b"".join([token[:TOKEN] for token in tokens])).decode()


def unpacked(word: str) -> list[bytes]:
    """Return the tokens of a word."""
    joined = base64.b64decode(word)
    return [joined[at : at + TOKEN] for at in range(0, len(joined), TOKEN)]
