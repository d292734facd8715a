"""Keyset paging: a page is told by the row it stands after or before, never by a number.

A service takes ``after_id``, ``before_id`` and ``limit`` and returns rows in the order shown,
at most ``limit`` of them; with ``before_id`` the ones just above that row. It looks up the sort
key of the row itself, so an address holds an id and never a name. The view::

    place = paging.place()
    rows = service.find(session(), after_id=place.after_id, before_id=place.before_id,
                        limit=paging.LIMIT)
    page = paging.cut(rows, place, key=attrgetter("id"))

and the template ``{{ pager(page) }}``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import Flask, request

Row = TypeVar("Row")
PAGE_SIZE = 50
LIMIT = PAGE_SIZE + 1
"""What to ask a service for: the one too many tells that there is a next page."""
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the list the reader is; at most one of the two is set."""

    after_id: int | None = None
    before_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """The rows to show, and from which ids the neighbouring pages begin, where there are any."""

    rows: Sequence[Row]
    before_id: int | None
    after_id: int | None


def init(app: Flask) -> None:
    """Make ``page_address`` known to templates."""
    app.add_template_global(address, "page_address")


def place() -> Place:
    """Return where the address ``?after=`` or ``?before=`` points; nonsense means the beginning."""
    after_id = _id("after")
    return Place(after_id=after_id, before_id=None if after_id else _id("before"))


def cut(found: Sequence[Row], place: Place, *, key: Callable[[Row], int]) -> Page[Row]:
    """Return the page out of up to ``LIMIT`` rows found at ``place``, in the order shown."""
    more = len(found) > PAGE_SIZE
    if place.before_id is not None:
        rows = found[-PAGE_SIZE:]
        above, below = more, True
    else:
        rows = found[:PAGE_SIZE]
        above, below = place.after_id is not None, more
    return Page(
        rows=rows,
        before_id=key(rows[0]) if rows and above else None,
        after_id=key(rows[-1]) if rows and below else None,
    )


def address(**changes: int | str | None) -> str:
    """Return this page's address with these query values in place of ``after`` and ``before``."""
    dropped = {"after", "before", *changes}
    kept = {k: v for k, v in request.args.to_dict(flat=False).items() if k not in dropped}
    wanted = {k: [str(v)] for k, v in changes.items() if v is not None}
    encoded = urlencode({**kept, **wanted}, doseq=True)
    return f"{request.path}?{encoded}" if encoded else request.path


def _id(name: str) -> int | None:
    given = request.args.get(name, "")
    if not (given.isascii() and given.isdigit()):
        return None
    number = int(given[:20])
    return number if number <= _LARGEST else None
