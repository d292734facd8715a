"""Which roles may use a view. A view that says nothing is closed to everybody.

An admin passes only where ``admin`` is named: the person who keeps the accounts has no business
in a patient's card unless the clinic says so, view by view.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app

from crm.web.identity import ROLES, Role, role_names
from crm.web.public_list import ANY_STAFF, SIGN_IN, STRANGERS

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "crm_allowed_roles"


def allow(*roles: Role) -> Callable[[View], View]:
    """Name the roles that may use the decorated view: ``@allow("marketer", "dpo")``.

    Stands below the route decorator. ``allow(*ROLES)`` opens a view to all staff.
    """
    if not roles:
        raise ValueError("name at least one role")

    def mark(view: View) -> View:
        view.__dict__[_MARK] = frozenset(roles)
        return view

    return mark


def public(endpoint: str) -> bool:
    """Return whether strangers may use the endpoint."""
    return endpoint in STRANGERS or endpoint in SIGN_IN


def roles_of(endpoint: str) -> frozenset[str]:
    """Return the roles that may use the endpoint; none when nobody was named."""
    if endpoint in ANY_STAFF:
        return frozenset(ROLES)
    view = current_app.view_functions.get(endpoint)
    allowed: frozenset[str] = getattr(view, _MARK, frozenset())
    return allowed


def may(endpoint: str) -> bool:
    """Return whether the endpoint exists and whoever asks may use it."""
    if endpoint not in current_app.view_functions:
        return False
    return public(endpoint) or not roles_of(endpoint).isdisjoint(role_names())
