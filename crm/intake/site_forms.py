"""Keeping the site's forms: which there are, who may post to them, their API tokens."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm.appointments.models import RequestKind
from crm.audit.service import note
from crm.errors import Invalid, NotFound, later
from crm.intake.models import Form


class KeyTaken(Invalid):
    """Another form has this key in its address."""

    status: ClassVar[int] = 422
    say = later("Another form has this key. Choose a different one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What staff choose about a form. Text keys in the order of the boxes."""

    title_ru: str
    title_en: str
    kind: RequestKind
    text_keys: list[str]
    origins: list[str]
    active: bool


def all_forms(session: Session) -> Sequence[Form]:
    """Return every form, those that are open first."""
    return session.scalars(select(Form).order_by(Form.active.desc(), Form.key)).all()


def find_form(session: Session, form_id: int) -> Form:
    """Return the form, open or shut. Raises NotFound."""
    form = session.get(Form, form_id)
    if form is None:
        raise NotFound(f"form {form_id}")
    return form


def create(session: Session, key: str, shape: Shape, *, at: datetime, by: int) -> Form:
    """Return the new form. Its key never changes: it stands in pages of the clinic's site.

    Raises:
        KeyTaken: another form has the key.

    """
    form = Form(
        key=key,
        kind=shape.kind,
        title_ru=shape.title_ru,
        title_en=shape.title_en,
        text_keys=shape.text_keys,
        origins=shape.origins,
        active=shape.active,
        created_at=at,
    )
    try:
        with session.begin_nested():
            session.add(form)
    except IntegrityError as error:
        raise KeyTaken from error
    note(session, "form.created", at=at, actor_id=by, subject="form", subject_id=form.id)
    return form


def change(session: Session, form: Form, shape: Shape, *, at: datetime, by: int) -> list[str]:
    """Give the form this shape and return the names of what is different now."""
    changed = [name for name in Shape.__slots__ if getattr(form, name) != getattr(shape, name)]
    for name in changed:
        setattr(form, name, getattr(shape, name))
    if changed:
        note(
            session,
            "form.changed",
            at=at,
            actor_id=by,
            subject="form",
            subject_id=form.id,
            fields=" ".join(changed),
        )
    session.flush()
    return changed


def make_token(session: Session, form: Form, *, at: datetime, by: int) -> str:
    """Return a new API token of the form; only its digest is kept, the one before stops working."""
    token = secrets.token_urlsafe(32)
    form.token_digest = hashlib.sha256(token.encode()).hexdigest()
    note(session, "form.token_made", at=at, actor_id=by, subject="form", subject_id=form.id)
    session.flush()
    return token


def remove_token(session: Session, form: Form, *, at: datetime, by: int) -> None:
    """Take no posts without an Origin any more."""
    if form.token_digest is None:
        return
    form.token_digest = None
    note(session, "form.token_removed", at=at, actor_id=by, subject="form", subject_id=form.id)
    session.flush()
