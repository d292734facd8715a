"""Programs that are fetched when a benchmark needs them, and never kept in the project."""

import shutil
import subprocess
import sys
from pathlib import Path

from devtools.paths import VAR
from devtools.terminal import working

PLACE = VAR / "bench"


class NotToBeHad(SystemExit):
    """A tool cannot be fetched here; the sentence ends a benchmark that is nothing without it."""


def postfix() -> Path:
    """Return where Debian's postfix package lies unpacked: it has smtp-source and smtp-sink.

    Raises:
        NotToBeHad: this machine has no apt, or apt no network.

    """
    place = PLACE / "postfix"
    if not (place / "usr/sbin/smtp-sink").exists():
        archives = _fresh(PLACE / "archives")
        with working("Fetching smtp-source and smtp-sink"):
            _run("Debian's postfix package", ["apt-get", "download", "postfix"], archives)
            (archive,) = archives.glob("postfix_*.deb")
            _run("Debian's postfix package", ["dpkg", "-x", str(archive), str(place)], archives)
    return place


def packages(name: str, *wanted: str) -> Path:
    """Return the folder of a virtual environment of its own that has these packages.

    Raises:
        NotToBeHad: they cannot be installed.

    """
    place = PLACE / name
    done = place / "installed"
    if not done.exists() or done.read_text() != " ".join(wanted):
        with working(f"Installing {', '.join(wanted)}"):
            _run(name, [sys.executable, "-m", "venv", "--without-pip", str(_fresh(place))], PLACE)
            pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python")]
            quiet = ["--disable-pip-version-check", "--quiet", "install"]
            _run(name, [*pip, *quiet, *wanted], PLACE)
        done.write_text(" ".join(wanted))
    return place


def _fresh(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def _run(what: str, command: list[str], place: Path) -> None:
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotToBeHad(f"{what} cannot be had: this machine has no {command[0]}.") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise NotToBeHad(f"{what} cannot be had: {last[:200]}")
