"""``/u/<token>``: the way out of promotion, for people and for mail programs (RFC 8058).

The token is the authority: no cookie, no CSRF token, no redirect, no limit per sender's address
(a mail provider posts for all of its users). GET shows and changes nothing; POST acts.
"""

import logging
import sys
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from flask import Response, make_response, render_template, request
from flask_babel import lazy_gettext
from sqlalchemy.exc import SQLAlchemyError

from crm import clock
from crm.clinic.service import details
from crm.consent import gate
from crm.consent.ledger import Origin
from crm.consent.tokens import Unsubscribe, read_unsubscribe
from crm.contacts.models import Address, Kind
from crm.current import settings
from crm.db import session
from crm.mail.addresses import mask
from crm.recipients import service
from crm.safekeeping.stops import keep
from crm.straight import finish
from crm.web import refusals
from crm.web.ending import roll_back

log = logging.getLogger(__name__)

SNIFFED: Final = 4096
"""Bytes of the body that are looked at; what a mail program says fits in a tenth of it."""
DRAINED: Final = 16 * 1024 * 1024
"""Bytes of the body that are read away, so that the sender hears the answer."""
UNSUBSCRIBED = lazy_gettext("You are unsubscribed.")
AWAY = lazy_gettext(
    "Your refusal could not be stored just now. Please press the button again in a minute, or "
    "write to the clinic."
)


def unsubscribe(token: str) -> Response:
    """Show whose letters would stop; on POST stop them."""
    # The body may be of any size and any type. None would mean the application's own limit.
    request.max_content_length = sys.maxsize
    try:
        link = read_unsubscribe(token, keys=settings().secret_keys)
        return _stop(link) if request.method == "POST" else _ask(link)
    except SQLAlchemyError as error:
        log.warning("opt-out not stored", extra={"fault": type(error).__name__})
        roll_back()
        return away()


def away() -> Response:
    """Answer that nothing could be stored. Touches no database."""
    response = refusals.answer(HTTPStatus.SERVICE_UNAVAILABLE, say=str(AWAY))
    response.headers["Retry-After"] = refusals.RETRY_AFTER_S
    return response


def evidence() -> dict[str, str]:
    """Return what is kept as proof that a link was used."""
    agent = request.headers.get("User-Agent", "")[:300]
    return {
        "ip": request.remote_addr or "",
        "user_agent": "".join(sign if sign.isprintable() else "?" for sign in agent),
    }


def masked(address: Address) -> str:
    """Return the address as whoever holds a forwarded letter may see it; empty once destroyed."""
    if address.value is None:
        return ""
    shown = address.display or address.value
    return mask(shown) if address.kind is Kind.EMAIL else f"•••{shown[-2:]}"


def _ask(link: Unsubscribe) -> Response:
    address = service.address_behind(session(), link.address_id)
    return make_response(
        render_template(
            "recipients/ask.html",
            clinic=details(session()),
            masked=masked(address),
            has_stopped=service.has_stopped(session(), address),
        )
    )


def _stop(link: Unsubscribe) -> Response:
    origin = Origin(source=_source(), delivery_id=link.delivery_id, evidence=evidence())
    keys = settings().suppression_keys
    event = service.stop_promotion(session(), link.address_id, origin, keys=keys, at=clock.now())
    finish(session())
    log.info("opted out", extra={"event_id": event and event.id})
    passed = _barrier([event.id] if event else [])
    if passed:  # where it took long, housekeeping does it
        keep(session(), settings(), at=clock.now())
    if origin.source == _ONE_CLICK:  # a program posts it, and shows the answer to nobody
        return make_response(str(UNSUBSCRIBED), HTTPStatus.OK if passed else HTTPStatus.ACCEPTED)
    return _done(link.address_id, passed=passed)


_ONE_CLICK: Final = "one_click"


def _barrier(stops: Collection[int]) -> bool:
    try:
        return gate.barrier(session(), stops)
    except SQLAlchemyError:
        roll_back()
        return False


def _done(address_id: int, *, passed: bool) -> Response:
    """Answer that the stop is stored; from here on no fault may turn that into a failure."""
    status = HTTPStatus.OK if passed else HTTPStatus.ACCEPTED
    try:
        service.hurry(session())
        page = render_template(
            "recipients/stopped.html",
            clinic=details(session()),
            masked=masked(service.address_behind(session(), address_id)),
            passed=passed,
            aftermath=service.aftermath(session(), address_id),
        )
    except SQLAlchemyError:
        roll_back()
        page = str(UNSUBSCRIBED)
    return make_response(page, status)


def _source() -> str:
    """Return ``one_click`` where a mail program posts, ``link`` where a person does."""
    try:
        start = request.stream.read(SNIFFED)
        left = DRAINED
        while left > 0 and (chunk := request.stream.read(65536)):
            left -= len(chunk)
    except OSError:
        return "link"
    return _ONE_CLICK if b"List-Unsubscribe" in start and b"One-Click" in start else "link"
