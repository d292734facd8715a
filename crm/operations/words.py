"""How the page calls things."""

from datetime import datetime, timedelta
from typing import Any, Final

from flask_babel import format_decimal, gettext
from flask_babel import lazy_gettext as _l

from crm import clock
from crm.delivery.states import Lane
from crm.operations.findings import Finding
from crm.relays.words import in_words
from crm.web.filters import hour, moment

KIND: Final = {
    "bulk": _l("Senders of campaigns"),
    "service": _l("Senders of service letters"),
    "house": _l("Housekeeping"),
    "beat": _l("Clock"),
}
LANE: Final = {Lane.BULK: _l("Campaigns"), Lane.SERVICE: _l("Service letters")}
LOG: Final = {"consent": _l("Ledger of consents"), "audit": _l("Audit log")}
_LATELY: Final = timedelta(hours=20)
"""Within these a time of day needs no date."""


def said(finding: Finding) -> str:
    """Return the sentence in the reader's language."""
    values = {name: _said(name, value) for name, value in finding.values.items()}
    return str(gettext(finding.say, **values))


def _said(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return hour(value) if abs(clock.now() - value) < _LATELY else moment(value)
    return in_words(value) if name == "because" else value


def decimal(number: float) -> str:
    """Return ``0,4`` or ``72``: one digit behind the comma at most."""
    return str(format_decimal(number, "#,##0.#"))
