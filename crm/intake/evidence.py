"""What is kept as proof that somebody ticked a box (152-FZ art. 9(3), ``notes/law.md`` 2.4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm.clinic.models import Clinic
from crm.consent.models import ConsentText

LONGEST_AGENT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """From where a submission came. ``page`` bears no query string (COO-01)."""

    origin: str
    page: str
    ip: str
    user_agent: str
    lang: str


def of_tick(
    text: ConsentText,
    address: str,
    came: Circumstances,
    *,
    form_key: str,
    boxes: dict[str, ConsentText | None],
    policy: ConsentText | None,
    clinic: Clinic,
    at: datetime,
) -> dict[str, Any]:
    """Return the evidence of one ticked box; ``address`` is as the person gave it."""
    return {
        "address": address,
        "text": _version(text),
        "policy": None if policy is None else _version(policy),
        "boxes": {key: None if one is None else _version(one) for key, one in boxes.items()},
        "operator": clinic.legal_name or clinic.name,
        "form": form_key,
        **circumstances(came),
        "at": at.isoformat(),
    }


def circumstances(came: Circumstances) -> dict[str, str]:
    """Return where it came from, without anything a database or a reader would choke on."""
    return {
        "page": came.page,
        "origin": _printable(came.origin),
        "ip": came.ip,
        "user_agent": _printable(came.user_agent)[:LONGEST_AGENT],
        "lang": came.lang,
    }


def _version(text: ConsentText) -> dict[str, Any]:
    return {"id": text.id, "version": text.version, "sha256": text.sha256}


def _printable(given: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in given)
