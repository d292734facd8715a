"""Letters as they came: one SQLite file, appended to by one process and read by any.

SQLite and not a file per letter, because the list is searched by address and cut at its old end;
both are one statement. Without syncs it takes in thousands a second, and loses nothing to a kill
of the process (only to a power cut, which a developer's catcher may).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

TRIM_EVERY = 500
HEAD_BYTES = 16_384
"""Enough to read a letter's headers without its body."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ns INTEGER NOT NULL,
    received REAL NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    raw BLOB NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter with its envelope."""

    id: int
    at_ns: int
    """Monotonic nanoseconds, comparable within the machine, when its final dot had been read."""
    received: float
    """Seconds since 1970, for people."""
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    """Without the dots that SMTP adds; in lists only the head."""

    @property
    def rcpt(self) -> str:
        """The first recipient, which is the only one of a letter that we send."""
        return self.recipients[0]


class Store:
    """The letters in one folder."""

    def __init__(self, folder: Path, *, keep: int = 0) -> None:
        """`keep` bounds how many stay, newest first; 0 keeps all."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / "letters.sqlite"
        self._keep = keep
        self._writer: sqlite3.Connection | None = None

    def open_for_writing(self) -> None:
        """Only in the one process and thread that appends."""
        self._writer = sqlite3.connect(self._path, isolation_level=None)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = OFF")
        self._writer.execute(SCHEMA)

    def close(self) -> None:
        """No more will be appended."""
        if self._writer:
            self._writer.close()

    def append(
        self, *, at_ns: int, received: float, sender: str, recipients: list[str], raw: bytes
    ) -> None:
        """When it returns, every reader sees the letter."""
        if self._writer is None:
            raise RuntimeError("this store was not opened for writing")
        number = self._writer.execute(
            "INSERT INTO letters (at_ns, received, sender, recipients, raw) VALUES (?, ?, ?, ?, ?)",
            (at_ns, received, sender, "\n".join(recipients), raw),
        ).lastrowid
        if self._keep and number and number % TRIM_EVERY == 0:
            self._writer.execute("DELETE FROM letters WHERE id <= ?", (number - self._keep,))

    def all(self) -> list[Letter]:
        """Oldest first, whole."""
        return self._read("SELECT * FROM letters ORDER BY id")

    def one(self, number: int) -> Letter | None:
        """The whole letter, unless it has been cut off."""
        found = self._read("SELECT * FROM letters WHERE id = ?", number)
        return found[0] if found else None

    def newest(self, *, address: str, before: int | None, limit: int) -> list[Letter]:
        """Heads of those whose sender or recipient contains `address`, newest first."""
        pattern = f"%{_literal(address)}%"
        return self._read(
            "SELECT id, at_ns, received, sender, recipients, coalesce(substr(raw, 1, ?), x'')"
            " FROM letters WHERE (? IS NULL OR id < ?)"
            r" AND (recipients LIKE ? ESCAPE '\' OR sender LIKE ? ESCAPE '\')"
            " ORDER BY id DESC LIMIT ?",
            *(HEAD_BYTES, before, before, pattern, pattern, limit),
        )

    def count(self) -> int:
        """How many there are."""
        with self._reader() as reader:
            number: int = reader.execute("SELECT count(*) FROM letters").fetchone()[0]
        return number

    def clear(self) -> None:
        """Forget all letters; also from another process than the one that appends."""
        with self._reader() as reader:
            reader.execute("DELETE FROM letters")

    def _read(self, statement: str, *values: int | str | None) -> list[Letter]:
        with self._reader() as reader:
            rows = reader.execute(statement, values).fetchall()
        return [_letter(*row) for row in rows]

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=10)) as reader:
            yield reader


def _letter(
    number: int, at_ns: int, received: float, sender: str, recipients: str, raw: bytes
) -> Letter:
    return Letter(number, at_ns, received, sender, tuple(recipients.split("\n")), raw)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
