"""The signed-in person as the layout shows them: name, role, theme."""

from flask import Flask
from flask_babel import lazy_gettext
from flask_security import current_user

from crm.web.identity import ROLES, role_names, signed_in, wish

ROLE_NAMES = {
    "admin": lazy_gettext("Administrator"),
    "marketer": lazy_gettext("Marketer"),
    "receptionist": lazy_gettext("Receptionist"),
    "dpo": lazy_gettext("Person in charge of personal data"),
}
THEMES = ("light", "dark")


def init(app: Flask) -> None:
    """Make these known to templates."""
    for fact in (theme, my_name, my_roles, signed_in):
        app.add_template_global(fact)
    app.add_template_filter(role_name)


def theme() -> str:
    """Return the person's theme; drawn by the server, so that a dark page never flashes white."""
    chosen = wish("theme")
    return chosen if chosen in THEMES else THEMES[0]


def my_name() -> str:
    """Return how the signed-in person is called: ``name``, else the address they sign in with."""
    return str(wish("name") or getattr(current_user, "email", ""))


def my_roles() -> list[str]:
    """Return the names of the person's roles in the language of the page."""
    mine = role_names()
    return [role_name(role) for role in ROLES if role in mine]


def role_name(role: str) -> str:
    """Return the role's name for people; an unknown one as it is."""
    return str(ROLE_NAMES.get(role, role))
