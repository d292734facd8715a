"""Today, the contact list, the card, and what may be done from it."""

from operator import attrgetter
from typing import cast

from flask import Blueprint, abort, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from crm import clock
from crm.audit.service import note
from crm.campaigns.words import DELIVERY, MAILING, REASONS
from crm.clinic.service import details
from crm.consent import gate
from crm.contacts import search
from crm.contacts.models import Contact
from crm.current import settings
from crm.db import session
from crm.desk import card, masking, people, stopping, timeline, today, words
from crm.desk.states import FILTERS, Consented
from crm.errors import Forbidden, NotFound, later
from crm.web import htmx, paging
from crm.web.access import allow
from crm.web.identity import ROLES, role_names

bp = Blueprint("desk", __name__)

LARGEST_ID = 2**63 - 1
ONLY_THE_PERSON = later(
    "A refusal is lifted only by the person: by a fresh consent, confirmed from their own mailbox. "
    "Ask them to fill in the form on the site. This attempt has been written down."
)


@bp.context_processor
def _vocabulary() -> dict[str, object]:
    return {
        "words": words,
        "letter_states": DELIVERY,
        "mailing_states": MAILING,
        "withheld_because": REASONS,
        "shown": masking.shown,
        "sees_in_full": masking.sees_in_full,
    }


@bp.get("/", endpoint="today")
@allow(*ROLES)
def show_today() -> ResponseReturnValue:
    now, clinic = clock.now(), details(session())
    counted = today.figures(session(), midnight=today.midnight(clinic.zone, at=now))
    mine = role_names()
    return render_template(
        "desk/today.html",
        now=now,
        counted=counted,
        steps=today.to_do(clinic, counted),
        visits=today.visits(session(), at=now) if mine & masking.IN_FULL else None,
        sendings=today.sendings(session()) if mine & {"marketer", "dpo"} else None,
        mine=mine,
    )


@bp.get("/contacts")
@allow("marketer", "receptionist", "dpo")
def contacts() -> ResponseReturnValue:
    now, typed = clock.now(), request.args.get("q", "")[: search.LONGEST]
    state = _state(request.args.get("consent", ""))
    where = people.condition(typed, state, reach=masking.reach(), at=now)
    place = paging.place()
    found = search.page_of(
        session(),
        where,
        after_id=place.after_id,
        before_id=place.before_id,
        limit=paging.LIMIT,
    )
    page = paging.cut(found, place, key=attrgetter("id"))
    answer = make_response(
        render_template(
            "desk/_people.html" if htmx.is_htmx() else "desk/contacts.html",
            page=page,
            lines=people.with_states(
                session(), page.rows, keys=settings().suppression_keys, at=now
            ),
            count=search.count(session(), where),
            typed=typed,
            state=state,
            filters=FILTERS,
        )
    )
    answer.vary.add("HX-Request")
    return answer


@bp.get("/contacts/<int(max=9223372036854775807):contact_id>")
@allow("marketer", "receptionist", "dpo")
def contact(contact_id: int) -> ResponseReturnValue:
    found = card.read(session(), contact_id, keys=settings().suppression_keys, at=clock.now())
    line = None
    if found.contact.destroyed_at is None:
        line = timeline.page(
            session(),
            contact_id,
            [one.address for one in found.reachable],
            kinds=timeline.KINDS if masking.sees_in_full() else timeline.WITHOUT_VISITS,
            after=timeline.read_mark(request.args.get("until", "")),
        )
    _note("contact.viewed", contact_id)
    page = render_template("desk/contact.html", card=found, line=line, deciding=card.deciding)
    session().commit()
    return page


@bp.post("/contacts/<int(max=9223372036854775807):contact_id>/opt-out")
@allow(*ROLES)
def opt_out(contact_id: int) -> ResponseReturnValue:
    source = request.form.get("how", "desk")
    if source not in words.HOW:
        abort(422, gettext("Choose how the refusal reached you."))
    _must_exist(contact_id)
    addresses = stopping.addresses_to_stop(session(), contact_id, _address_id())
    address_ids = [address.id for address in addresses]
    stops = stopping.refuse_advertising(
        session(),
        contact_id,
        addresses,
        source=source,
        actor_id=_me(),
        keys=settings().suppression_keys,
        at=clock.now(),
    )
    stop_ids = [event.id for event in stops]
    session().commit()
    passed = gate.barrier(session(), stop_ids)
    return render_template(
        "desk/opted_out.html",
        passed=passed,
        after=stopping.aftermath(session(), address_ids),
        how_many=len(address_ids),
        contact_id=contact_id,
    ), 200 if passed else 202


@bp.post("/contacts/<int(max=9223372036854775807):contact_id>/lift")
@allow(*ROLES)
def lift(contact_id: int) -> ResponseReturnValue:
    _must_exist(contact_id)
    _note("contact.lift_refused", contact_id)
    session().commit()
    raise Forbidden(f"contact {contact_id}: staff lift nothing", say=ONLY_THE_PERSON)


def _state(typed: str) -> Consented | None:
    return Consented(typed) if typed in set(FILTERS) else None


def _address_id() -> int | None:
    typed = request.form.get("address_id", "")
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit()) or int(typed[:20]) > LARGEST_ID:
        abort(422, gettext("There is no such address."))
    return int(typed)


def _must_exist(contact_id: int) -> None:
    if session().get(Contact, contact_id) is None:
        raise NotFound(f"contact {contact_id}")


def _note(act: str, contact_id: int) -> None:
    note(
        session(),
        act,
        at=clock.now(),
        actor_id=_me(),
        subject="contact",
        subject_id=contact_id,
    )


def _me() -> int:
    return cast("int", current_user.id)
