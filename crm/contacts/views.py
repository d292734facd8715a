"""Adding and changing people by hand."""

from typing import cast

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy.orm import Session

from crm import clock
from crm.audit.service import note
from crm.contacts import edit, search
from crm.contacts.forms import ChangeContactForm, ContactForm, NewContactForm
from crm.contacts.models import Contact, Kind
from crm.contacts.typed import health_words
from crm.db import session
from crm.errors import NotFound, WrongState
from crm.web.access import allow

bp = Blueprint("contacts", __name__)

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


@bp.route("/contacts/new", methods=["GET", "POST"])
@allow("receptionist", "dpo")
def new() -> ResponseReturnValue:
    _only_forms()
    form = NewContactForm()
    if not form.is_submitted():
        return _page(form, None)
    if not form.validate() or _doubts(session(), form, but=0):
        return _page(form, None, status=422)
    contact = edit.add(
        session(), form.details(), source=form.source.data, actor_id=_me(), at=clock.now()
    )
    contact_id = contact.id
    session().commit()
    return redirect(url_for("desk.contact", contact_id=contact_id), 303)


@bp.route("/contacts/<int(max=9223372036854775807):contact_id>/edit", methods=["GET", "POST"])
@allow("receptionist", "dpo")
def change(contact_id: int) -> ResponseReturnValue:
    _only_forms()
    contact = find(session(), contact_id)
    form = ChangeContactForm(data=_as_typed(session(), contact))
    if not form.is_submitted():
        note(
            session(),
            "contact.opened",
            at=clock.now(),
            actor_id=_me(),
            subject="contact",
            subject_id=contact_id,
        )
        session().commit()
        return _page(form, contact)
    if not form.validate() or _doubts(session(), form, but=contact_id):
        return _page(form, contact, status=422)
    try:
        edit.change(
            session(),
            contact_id,
            form.details(),
            revision=form.revision.data or 0,
            actor_id=_me(),
            at=clock.now(),
        )
    except WrongState as conflict:
        session().rollback()
        return _page(form, find(session(), contact_id), status=409, conflict=conflict.say)
    session().commit()
    return redirect(url_for("desk.contact", contact_id=contact_id), 303)


def find(session: Session, contact_id: int) -> Contact:
    """Return the person. Raises NotFound, for one whose data were destroyed as well."""
    contact = session.get(Contact, contact_id)
    if contact is None or contact.destroyed_at is not None:
        raise NotFound(f"contact {contact_id}")
    return contact


def _page(
    form: ContactForm, contact: Contact | None, *, status: int = 200, conflict: str = ""
) -> ResponseReturnValue:
    return render_template(
        "contacts/form.html", form=form, contact=contact, conflict=conflict
    ), status


def _doubts(session: Session, form: ContactForm, *, but: int) -> bool:
    """Return whether something needs a second look first; the form then says what."""
    form.health_words = health_words(form.note.read)
    form.others = _others(session, form, but=but)
    if form.health_words and not form.keep_note.data:
        note(
            session,
            "contact.note_warned",
            at=clock.now(),
            actor_id=_me(),
            subject="contact" if but else None,
            subject_id=but or None,
            health_words=len(form.health_words),
        )
        session.commit()
        return True
    return bool(form.others and not form.shared.data)


def _others(session: Session, form: ContactForm, *, but: int) -> list[tuple[str, Contact]]:
    """Return who else is behind an address that this person would get only now."""
    found: list[tuple[str, Contact]] = []
    for read in (form.email.read, form.phone.read):
        address = edit.known(session, read) if read is not None else None
        if address is None or address == edit.current(session, but, address.kind):
            continue
        people = search.sharers(session, [address.id], but=but).get(address.id, [])
        found += [(read.display, person) for person in people]
    return found


def _as_typed(session: Session, contact: Contact) -> dict[str, object]:
    email = edit.current(session, contact.id, Kind.EMAIL)
    phone = edit.current(session, contact.id, Kind.PHONE)
    return {
        "last_name": contact.last_name,
        "first_name": contact.first_name,
        "patronymic": contact.patronymic,
        "category": contact.category.value,
        "email": (email.display or "") if email else "",
        "phone": (phone.display or "") if phone else "",
        "note": contact.note,
        "revision": contact.revision,
    }


def _only_forms() -> None:
    if request.method == "POST" and request.mimetype not in FORMS:
        abort(415)


def _me() -> int:
    return cast("int", current_user.id)
