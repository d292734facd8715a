"""How the page calls things."""

from datetime import datetime
from typing import Final

from flask_babel import format_decimal, gettext
from flask_babel import lazy_gettext as _l

from crm.delivery.states import Lane
from crm.operations.findings import Finding
from crm.web.filters import hour

KIND: Final = {
    "bulk": _l("Senders of campaigns"),
    "service": _l("Senders of service letters"),
    "house": _l("Housekeeping"),
    "beat": _l("Clock"),
}
LANE: Final = {Lane.BULK: _l("Campaigns"), Lane.SERVICE: _l("Service letters")}
LOG: Final = {"consent": _l("Ledger of consents"), "audit": _l("Audit log")}


def said(finding: Finding) -> str:
    """Return the sentence in the reader's language."""
    values = {
        name: hour(value) if isinstance(value, datetime) else value
        for name, value in finding.values.items()
    }
    return str(gettext(finding.say, **values))


def decimal(number: float) -> str:
    """Return ``0,4`` or ``72``: one digit behind the comma at most."""
    return str(format_decimal(number, "#,##0.#"))
