"""The state folder's small files: read when they changed, written so that a crash tears none."""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any] | None:
    """Return the file's object, None where there is none; parsed again only once it changed."""
    try:
        seen = os.stat(path)
        return _parsed(path, seen.st_ino, seen.st_mtime_ns, seen.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=8)
def _parsed(path: Path, _inode: int, _mtime_ns: int, _size: int) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(path.read_bytes())
    return stored


def write(path: Path, stored: Mapping[str, Any]) -> None:
    """Put the object in place of the file, wholly and durably, or raise OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(json.dumps(stored, indent=1).encode())
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove the file durably; harmless where there is none."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make names in the folder as durable as what they name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
