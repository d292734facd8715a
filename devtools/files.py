"""Files that only their owner may read, and locks that a dead process cannot keep."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace the file; nobody but the owner could read it at any moment."""
    path.unlink(missing_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "w") as file:
        file.write(text)


def secret(path: Path) -> str:
    """The random hex text in the file, made when it is not there yet; call it under a lock."""
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_text()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the file alone, waiting for it; yields its descriptor."""
    with opened(path) as number:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield number


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor to hold locks with; closing it lets go of them, and so does any death.

    A folder serves as well as a file, where no file should be left behind.
    """
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield number
    finally:
        os.close(number)


def take(number: int) -> bool:
    """Hold the lock alone from now on, unless anybody else holds it."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
