"""How wrong the site's clock is: a story writes it down, the site reads it."""

from datetime import timedelta
from pathlib import Path

_NAME = "clock"


def put_wrong(folder: Path, by: timedelta) -> None:
    """Let the clock jump to so much ahead of the true time."""
    new = folder / f"{_NAME}.new"
    new.write_text(str(by.total_seconds()))
    new.rename(folder / _NAME)


def wrong_by(folder: Path) -> timedelta:
    return timedelta(seconds=float((folder / _NAME).read_text()))
