"""The audit log as a page. It names staff, which the log itself, standing lower, cannot."""

from collections.abc import Mapping
from operator import attrgetter

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.reading import Wanted, lines
from crm.db import session
from crm.desk import words
from crm.staff.models import Staff
from crm.web import htmx, paging
from crm.web.access import allow

bp = Blueprint("audit", __name__)

LARGEST_STAFF_ID = 2**31 - 1
LARGEST_ID = 2**63 - 1


@bp.get("/audit")
@allow("admin", "dpo")
def index() -> ResponseReturnValue:
    wanted, place = _wanted(request.args), paging.place()
    found = lines(
        session(),
        wanted,
        after_id=place.after_id,
        before_id=place.before_id,
        limit=paging.LIMIT,
    )
    answer = make_response(
        render_template(
            "audit/_lines.html" if htmx.is_htmx() else "audit/index.html",
            page=paging.cut(found, place, key=attrgetter("id")),
            wanted=wanted,
            staff=_names(session()),
            words=words,
        )
    )
    answer.vary.add("HX-Request")
    return answer


def _wanted(typed: Mapping[str, str]) -> Wanted:
    """Read the filter; what makes no sense is left out."""
    act, subject = typed.get("act", ""), typed.get("subject", "")
    known = set(words.AUDIT) | set(words.AUDIT_FEATURE)
    return Wanted(
        actor_id=_number(typed.get("actor_id", ""), LARGEST_STAFF_ID),
        act=act if act in known else "",
        subject=subject if subject in words.SUBJECT else "",
        subject_id=_number(typed.get("subject_id", ""), LARGEST_ID),
    )


def _number(typed: str, largest: int) -> int | None:
    if not (typed.isascii() and typed.isdigit()):
        return None
    number = int(typed[:20])
    return number if number <= largest else None


def _names(session: Session) -> dict[int | None, str]:
    rows = session.scalars(select(Staff).order_by(Staff.name, Staff.id))
    named: dict[int | None, str] = {person.id: person.name for person in rows}
    return named | {None: gettext("the system")}
