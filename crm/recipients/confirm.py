"""``/o/<token>``: the button of the double opt-in letter. GET shows, POST confirms."""

from flask import Response, make_response, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from crm import clock
from crm.clinic.service import details
from crm.consent.tokens import Right, read
from crm.current import settings
from crm.db import session
from crm.errors import InvalidToken
from crm.recipients import service
from crm.recipients.unsubscribe import evidence, masked
from crm.web import refusals
from crm.web.ending import roll_back


def confirm(token: str) -> Response:
    """Show what would be confirmed; on POST confirm it."""
    try:
        return _act(_event(token))
    except SQLAlchemyError as error:
        roll_back()
        return refusals.give_way(error)


def _act(event_id: int) -> Response:
    service.hurry(session())
    at = clock.now()
    if request.method == "POST":
        wish = service.confirm(
            session(),
            event_id,
            evidence=evidence(),
            keys=settings().suppression_keys,
            at=at,
        )
        session().commit()
        return _page(wish, is_confirmed=True)
    wish = service.wish(session(), event_id, at=at)
    return _page(wish, is_confirmed=wish.is_confirmed)


def _page(wish: service.Wish, *, is_confirmed: bool) -> Response:
    page = "recipients/confirmed.html" if is_confirmed else "recipients/confirm.html"
    return make_response(
        render_template(
            page, clinic=details(session()), masked=masked(wish.address), text=wish.text
        )
    )


def _event(token: str) -> int:
    match read(Right.CONFIRM, token, keys=settings().secret_keys):
        case [int(event_id)]:
            return event_id
    raise InvalidToken
