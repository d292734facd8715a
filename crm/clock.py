"""The one place that reads the clock.

Everything below the edges (views, tasks, commands) takes ``at: datetime`` instead; the dispatch
engine, which lives longer than a moment, takes this function itself.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)
