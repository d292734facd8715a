"""Who is signed in, seen through flask-login's attributes only: this rung knows no staff."""

from typing import Literal, get_args

from flask_security import current_user

Role = Literal["admin", "marketer", "receptionist", "dpo"]
ROLES: tuple[Role, ...] = get_args(Role)


def signed_in() -> bool:
    """Return whether the request comes from a signed-in member of staff."""
    return bool(current_user and current_user.is_authenticated)


def role_names() -> frozenset[str]:
    """Return the names of the roles of whoever asks; none for a stranger."""
    if not signed_in():
        return frozenset()
    roles = getattr(current_user, "roles", ())
    return frozenset(str(getattr(role, "name", role)) for role in roles)


def wish(name: str) -> str | None:
    """Return a setting of the signed-in person, such as ``lang`` or ``theme``, if there is one."""
    value = getattr(current_user, name, None) if signed_in() else None
    return str(value) if value else None
