"""The staff's menu: one list. An entry shows where its page exists and the role may see it."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app, request, url_for
from flask_babel import lazy_gettext as _l

from crm.web.access import may


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A page in the menu. The roles are those that its view names."""

    endpoint: str
    label: str
    icon: str
    under: tuple[str, ...] = ()
    """Blueprints whose other pages belong to this entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Entries under one heading; the first section has none."""

    heading: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry as it stands on the page."""

    href: str
    label: str
    icon: str
    current: bool
    count: int


MENU = (
    Section(
        heading="",
        entries=(
            Entry(endpoint="desk.today", label=_l("Today"), icon="home"),
            Entry(
                endpoint="appointments.queue",
                label=_l("Reception"),
                icon="calendar-event",
                under=("appointments",),
            ),
            Entry(
                endpoint="desk.contacts",
                label=_l("Contacts"),
                icon="users",
                under=("desk", "contacts", "privacy"),
            ),
            Entry(
                endpoint="campaigns.index",
                label=_l("Campaigns"),
                icon="mail",
                under=("campaigns",),
            ),
        ),
    ),
    Section(
        heading=_l("Control"),
        entries=(
            Entry(
                endpoint="audit.index",
                label=_l("Audit log"),
                icon="history",
                under=("audit",),
            ),
            Entry(
                endpoint="operations.show",
                label=_l("State of sending"),
                icon="activity",
                under=("operations",),
            ),
            Entry(
                endpoint="installation.show",
                label=_l("Installation"),
                icon="shield-check",
                under=("installation",),
            ),
        ),
    ),
    Section(
        heading=_l("Settings"),
        entries=(
            Entry(
                endpoint="clinic.settings",
                label=_l("Clinic"),
                icon="building-hospital",
                under=("clinic",),
            ),
            Entry(
                endpoint="relays.index",
                label=_l("Mail relays"),
                icon="server",
                under=("relays",),
            ),
            Entry(
                endpoint="paces.index",
                label=_l("Sending pace"),
                icon="hourglass",
                under=("paces",),
            ),
            Entry(
                endpoint="intake.forms",
                label=_l("Site forms"),
                icon="forms",
                under=("intake",),
            ),
            Entry(
                endpoint="consent.texts",
                label=_l("Texts"),
                icon="file-certificate",
                under=("consent",),
            ),
            Entry(
                endpoint="staff.index",
                label=_l("Staff"),
                icon="users-group",
                under=("staff", "security"),
            ),
        ),
    ),
)
ENDPOINTS = frozenset(entry.endpoint for section in MENU for entry in section.entries)


def init(app: Flask) -> None:
    """Make the menu known to templates."""
    app.extensions["crm.nav.counts"] = {}
    app.add_template_global(nav_sections)
    app.add_template_global(may, "may")


def count(app: Flask, endpoint: str, how_many: Callable[[], int]) -> None:
    """Show a number beside the entry of ``endpoint``: what waits there. Asked on every page."""
    app.extensions["crm.nav.counts"][endpoint] = how_many


def nav_sections() -> list[tuple[str, list[Shown]]]:
    """Return headings and entries for whoever is signed in, without empty sections."""
    sections = [
        (str(section.heading), [_shown(entry) for entry in section.entries if may(entry.endpoint)])
        for section in MENU
    ]
    return [(heading, entries) for heading, entries in sections if entries]


def _shown(entry: Entry) -> Shown:
    counter = current_app.extensions["crm.nav.counts"].get(entry.endpoint)
    return Shown(
        href=url_for(entry.endpoint),
        label=str(entry.label),
        icon=entry.icon,
        current=_is_current(entry),
        count=counter() if counter else 0,
    )


def _is_current(entry: Entry) -> bool:
    """Exactly one entry is: the page itself has an entry, or the one its blueprint is under."""
    if request.endpoint in ENDPOINTS:
        return request.endpoint == entry.endpoint
    return request.blueprint in entry.under
