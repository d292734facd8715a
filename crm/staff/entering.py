"""Who may come in: the check of name and password, the same work whatever is wrong."""

import hmac
from functools import cache
from typing import Final

from flask_security import hash_password
from flask_security.utils import verify_and_update_password, verify_password
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.staff.models import Staff
from crm.staff.rules import LONGEST, as_typed_anywhere

LONGEST_EMAIL: Final = 254


def account(typed: str) -> str:
    """Return the account name that was typed, in the form that accounts are kept in."""
    return typed.strip().casefold()


def token(name: str, *, keys: tuple[str, ...]) -> str:
    """Return a keyed token of an account name: counts and logs never hold the address itself."""
    return hmac.digest(keys[0].encode(), f"sign-in:{name}".encode(), "sha256").hex()[:32]


def known(session: Session, name: str) -> Staff | None:
    """Return whose account it is, shut or not; nobody for what cannot be an address."""
    if not name.isprintable() or len(name) > LONGEST_EMAIL:
        return None
    return session.scalar(select(Staff).where(Staff.email == name))


def opens(staff: Staff | None, password: str) -> bool:
    """Return whether the password opens the account.

    For nobody, and for an account without a password, a hash that nothing matches is checked, so
    that the time tells nothing. Needs an application context, and writes where the parameters of
    the hash have changed.
    """
    password = as_typed_anywhere(password[: LONGEST + 1])
    hash_of_nobody = _of_nobody()
    if staff is None or not staff.password:
        verify_password(password, hash_of_nobody)
        return False
    return bool(verify_and_update_password(password, staff)) and staff.active


@cache
def _of_nobody() -> str:
    return str(hash_password("nobody signs in with this"))
