"""Accounts: add, change, shut, sign out everywhere. Each writes its line into the audit log."""

import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Final

from flask_security import hash_password
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.errors import CrmError, Invalid, NotFound, later
from crm.mail.addresses import Domains, read_email
from crm.staff.models import Role, RoleName, Staff, StaffRole
from crm.staff.rules import as_typed_anywhere, password_fault

ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without signs that look alike on paper."""
GROUPS, SIGNS_PER_GROUP = 4, 5


class LastAdmin(CrmError):  # noqa: N818 - reads as what is the case
    """Nobody would be left who may add staff."""

    status: ClassVar[int] = 409
    say = later("This is the last administrator. Make somebody else an administrator first.")


class Taken(Invalid):
    """The address signs in somebody else."""

    say = later("Somebody already signs in with this e-mail address.")


def add(
    session: Session,
    *,
    email: str,
    name: str,
    roles: Iterable[RoleName],
    password: str,
    at: datetime,
    by: int | None,
) -> Staff:
    """Return the new member of staff. ``by`` is None where the operator's command adds.

    Call it inside an application context: that is where the hash's parameters live.

    Raises:
        Invalid: no e-mail address, no role, or not a password; ``say`` tells which.
        Taken: the address is somebody's already.

    """
    address = read_email(email, domains=Domains.WITH_TEST).value
    wanted = set(roles)
    if not wanted:
        raise Invalid(say=later("Choose at least one role."))
    if session.scalar(select(Staff.id).where(Staff.email == address)) is not None:
        raise Taken
    staff = Staff(
        email=address,
        name=name,
        password=_hash(password, email=address),
        fs_uniquifier=uuid.uuid4().hex,
        created_at=at,
        roles=_roles(session, wanted),
    )
    try:
        with session.begin_nested():
            session.add(staff)
    except IntegrityError as error:  # somebody was quicker
        raise Taken from error
    _note(session, "added", staff, at=at, by=by, roles=_names(wanted))
    return staff


def find(session: Session, staff_id: int) -> Staff:
    """Return the member of staff. Raises NotFound."""
    staff = session.get(Staff, staff_id)
    if staff is None:
        raise NotFound(f"staff {staff_id}")
    return staff


def everybody(session: Session) -> list[Staff]:
    """Return all accounts by name, those that may sign in first."""
    return list(session.scalars(select(Staff).order_by(Staff.active.desc(), Staff.name, Staff.id)))


def rename(session: Session, staff: Staff, name: str, *, at: datetime, by: int) -> None:
    """Change how a member of staff is called."""
    if staff.name == name:
        return
    staff.name = name
    _note(session, "renamed", staff, at=at, by=by)


def give_roles(
    session: Session, staff: Staff, roles: Iterable[RoleName], *, at: datetime, by: int
) -> None:
    """Give exactly these roles.

    Raises:
        Invalid: none was chosen.
        LastAdmin: nobody else may add staff.

    """
    wanted, had = set(roles), {role.name for role in staff.roles}
    if not wanted:
        raise Invalid(say=later("Choose at least one role."))
    if wanted == had:
        return
    if RoleName.ADMIN not in wanted:
        _keep_an_admin(session, staff)
    staff.roles = _roles(session, wanted)
    _note(session, "roles_changed", staff, at=at, by=by, roles=_names(wanted), had=_names(had))


def deactivate(session: Session, staff: Staff, *, at: datetime, by: int) -> None:
    """Let nobody in under this account, and end its sessions. Raises LastAdmin."""
    if not staff.active:
        return
    _keep_an_admin(session, staff)
    staff.active = False
    _end_sessions(staff)
    _note(session, "deactivated", staff, at=at, by=by)


def reactivate(session: Session, staff: Staff, *, at: datetime, by: int) -> None:
    """Let the account in again, with the password that it had."""
    if staff.active:
        return
    staff.active = True
    _note(session, "reactivated", staff, at=at, by=by)


def sign_out_everywhere(session: Session, staff: Staff, *, at: datetime, by: int) -> None:
    """End every session of the account: the next request of each is a stranger's."""
    _end_sessions(staff)
    _note(session, "signed_out_everywhere", staff, at=at, by=by)


def set_password(session: Session, staff: Staff, password: str, *, at: datetime, by: int) -> None:
    """Give the account a password and end its sessions. Raises Invalid with the reason."""
    staff.password = _hash(password, email=staff.email)
    _end_sessions(staff)
    act = "password_changed" if by == staff.id else "password_reset"
    _note(session, act, staff, at=at, by=by)


def first_password() -> str:
    """Return a password to be told once: 20 signs, some 99 bits, in groups for reading aloud."""
    groups = (
        "".join(secrets.choice(ALPHABET) for _ in range(SIGNS_PER_GROUP)) for _ in range(GROUPS)
    )
    return "-".join(groups)


def _keep_an_admin(session: Session, leaving: Staff) -> None:
    """Refuse to lose the last administrator; of two who leave at once the second waits here."""
    if not leaving.active or RoleName.ADMIN not in {role.name for role in leaving.roles}:
        return
    session.execute(select(Role.id).where(Role.name == RoleName.ADMIN).with_for_update())
    others = session.scalar(
        select(func.count())
        .select_from(Staff)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .join(Role, Role.id == StaffRole.role_id)
        .where(Role.name == RoleName.ADMIN, Staff.active, Staff.id != leaving.id)
    )
    if not others:
        raise LastAdmin(f"staff {leaving.id}")


def _roles(session: Session, names: set[RoleName]) -> list[Role]:
    known = {role.name: role for role in session.scalars(select(Role))}
    return [known.get(name) or Role(name=name) for name in RoleName if name in names]


def _names(roles: set[RoleName]) -> str:
    return " ".join(sorted(roles))


def _hash(password: str, *, email: str) -> str:
    fault = password_fault(password, email=email)
    if fault:
        raise Invalid(say=fault)
    return str(hash_password(as_typed_anywhere(password)))


def _end_sessions(staff: Staff) -> None:
    staff.fs_uniquifier = uuid.uuid4().hex


def _note(
    session: Session, act: str, staff: Staff, *, at: datetime, by: int | None, **detail: str
) -> None:
    note(
        session,
        f"staff.{act}",
        at=at,
        actor_id=by,
        subject="staff",
        subject_id=staff.id,
        **detail,
    )
