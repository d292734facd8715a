"""Writing the journal: ``STATE_DIR/journal/YYYY-MM-DD/<process>.log``, appended to, never changed.

It holds what a database restored from a backup has forgotten, and no address and no name: keyed
tokens only. A record is on the disk when its method returns. Each process has files of its own, so
that none waits for another; a file that could not be written to is left as it is, and the next
record begins a new one: a torn line is always the last of its file.
"""

import errno
import os
import secrets
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from crm.config import Settings
from crm.consent.tokens import key_id
from crm.errors import later
from crm.safekeeping import folder, lines

RESERVE: Final = 64 * 1024 * 1024
"""Bytes that letters leave free on the disk, so that stops can still be written down."""
ROOM_S: Final = 1.0
"""How long the free space is believed."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class JournalAway(OSError):  # noqa: N818 - what is the case
    """The journal cannot be written: no letter may leave, because nothing would remember it.

    ``say`` is the sentence for staff, a msgid.
    """

    say = later(
        "The journal in the state folder cannot be written: no letter leaves until it can. "
        "Refusals are obeyed all the same."
    )


class JournalFull(JournalAway):
    """Its disk is full, or nearly so."""

    say = later(
        "The journal's disk is full: no letter leaves until there is room. "
        "Refusals are obeyed all the same."
    )


class Journal:
    """One process's part of the journal. Threads may share it; a forked child begins its own."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.state_dir / "journal"
        self._state_dir = settings.state_dir
        self._name, self._key = key_id(settings.suppression_keys[0]), settings.suppression_keys[0]
        self._lock = threading.Lock()
        self._forget()
        self._room, self._looked_at = 0, float("-inf")

    def handing(
        self,
        *,
        fence: int,
        window_id: int,
        mailing_key: UUID,
        last_delivery_id: int,
        tokens: Sequence[bytes],
        at: datetime,
    ) -> None:
        """Write down that letters are about to be handed over. Call before the first dot.

        Args:
            fence: of the lease.
            window_id: of its intent, which is committed.
            mailing_key: ``Mailing.key``.
            last_delivery_id: the largest of the window.
            tokens: of the recipients, under the newest suppression key.
            at: now.

        Raises:
            JournalFull: less than RESERVE is free.
            JournalAway: it cannot be written; not one dot may follow.

        """
        record = {
            "kind": "handing",
            "fence": fence,
            "window": window_id,
            "mailing": mailing_key.hex,
            "upto": last_delivery_id,
            "to": lines.packed(list(tokens)),
        }
        with self._lock, _told():
            self._need_room()
            self._append([record], at)

    def write(self, records: Iterable[Mapping[str, Any]], *, at: datetime) -> None:
        """Write down other records, each with its ``kind``. Raises JournalAway."""
        with self._lock, _told():
            self._append(records, at)

    def trouble(self) -> str | None:
        """Return the sentence for staff where the journal keeps letters from leaving, else None.

        It tries, with a file that is gone again: a folder tells nothing of its disk.
        """
        place = self.folder if self.folder.exists() else self._state_dir
        try:
            with self._lock, _told(), tempfile.TemporaryFile(dir=place) as trial:
                self._need_room()
                trial.write(bytes(4096))
                trial.flush()
        except JournalAway as fault:
            return fault.say
        return None

    def close(self) -> None:
        """End this process's file; the next record begins another."""
        self._end()
        self._forget()

    def _need_room(self) -> None:
        if time.monotonic() - self._looked_at >= ROOM_S:
            disk = os.statvfs(self._state_dir)
            self._room, self._looked_at = disk.f_bavail * disk.f_frsize, time.monotonic()
        if self._room < RESERVE:
            raise JournalFull(errno.ENOSPC, "less than the reserve is free")

    def _forget(self) -> None:
        self._file: int | None = None
        self._end: Callable[[], object] = lambda: None
        self._owner, self._day, self._mark = os.getpid(), "", lines.START

    def _append(self, records: Iterable[Mapping[str, Any]], at: datetime) -> None:
        try:
            self._write(self._open(at), records, at)
        except OSError:
            self.close()
            raise

    def _write(self, file: int, records: Iterable[Mapping[str, Any]], at: datetime) -> None:
        whole, moment = [], at.astimezone(UTC).isoformat()
        for record in records:
            stored = lines.encode({"at": moment, **record})
            self._mark = lines.mark(self._mark, stored, self._key.encode())
            whole.append(lines.line(stored, self._mark))
        block = b"".join(whole)
        if os.write(file, block) != len(block):
            raise OSError(errno.ENOSPC, "cut short")
        os.fdatasync(file)

    def _open(self, at: datetime) -> int:
        """Return the file of this process and day, begun with a line that names its key."""
        day = at.astimezone(UTC).date().isoformat()
        if self._file is not None and self._day == day and self._owner == os.getpid():
            return self._file
        self.close()
        place = self.folder / day
        if not place.is_dir():
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.sync(self._state_dir)
            folder.sync(self.folder)
        name = f"{os.getpid()}-{secrets.token_hex(4)}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._file, self._day = os.open(place / name, flags, 0o600), day
        self._end = weakref.finalize(self, os.close, self._file)
        began = {"kind": "opened", "v": lines.VERSION, "key": self._name}
        try:
            self._write(self._file, [began], at)
        except OSError:
            (place / name).unlink()  # or a full disk would gather empty files
            raise
        folder.sync(place)
        return self._file


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except JournalAway:
        raise
    except OSError as error:
        kind = JournalFull if error.errno in _FULL else JournalAway
        raise kind(error.errno, "the journal cannot be written") from error


@lru_cache(maxsize=8)
def of(settings: Settings) -> Journal:
    """Return this process's journal."""
    return Journal(settings)
