"""Setting up the log: static events with their ids, as text or as one JSON object a line.

What may not be logged is not logged in the first place; nothing here filters. Of an exception only
its kind and the places in the code are written: its words may quote a row, and with it a person.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(log_format: str) -> None:
    """Write the log to stderr in this format, once for the process. Call it in entry points."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if log_format == "json" else Text())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("crm", "worker"):
        logging.getLogger(ours).setLevel(logging.INFO)


def given(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was passed in ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def places(record: logging.LogRecord) -> list[str]:
    """Return where an exception came through, innermost last, and its kind; never its words."""
    if not record.exc_info or record.exc_info[0] is None:
        return []
    kind, _error, trace = record.exc_info
    frames = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(trace)]
    return [*frames, kind.__name__]


class Text(logging.Formatter):
    """For people: ``12:00:00 WARNING crm.delivery.dispatch lease lost fence=7``."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_moment(record).strftime("%H:%M:%S"), record.levelname, record.name]
        words.append(record.getMessage())
        words += [f"{name}={value}" for name, value in given(record).items()]
        return "\n    ".join([" ".join(words), *places(record)])


class Json(logging.Formatter):
    """For machines: ``at``, ``level``, ``logger``, ``event``, and what was passed in ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _moment(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **given(record),
        }
        if record.exc_info:
            line["trace"] = places(record)
        return json.dumps(line, ensure_ascii=False, default=str)


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
