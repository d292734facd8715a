"""The certificate of a closed mailing, as lines that add up: planned is the sum of the others."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm.consent.rules import Reason
from crm.delivery.states import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How every planned letter ended, counted when the last one had."""

    planned: int
    accepted: int
    withheld: dict[Reason, int]
    """The most frequent reason first."""
    failed: int
    uncertain: int
    at: datetime
    list_hash: str | None
    """Of the list of recipients, where one was kept at the approval."""

    @property
    def withheld_in_all(self) -> int:
        return sum(self.withheld.values())


def read(stored: dict[str, Any], *, list_hash: str | None) -> Certificate:
    """Return what ``delivery.close`` has stored, as a mailing's ``certificate``."""
    reasons = sorted(stored["reasons"].items(), key=lambda item: (-item[1], item[0]))
    return Certificate(
        planned=stored["planned"],
        accepted=stored[DeliveryState.ACCEPTED],
        withheld={Reason(name): count for name, count in reasons},
        failed=stored[DeliveryState.FAILED],
        uncertain=stored[DeliveryState.UNCERTAIN],
        at=datetime.fromisoformat(stored["at"]),
        list_hash=list_hash,
    )


def lines(certificate: Certificate) -> list[tuple[str, Reason | None, int]]:
    """Return state, reason and letters line by line; those after the first sum up to it."""
    reasons: dict[Reason | None, int] = dict(certificate.withheld.items()) or {None: 0}
    return [
        ("planned", None, certificate.planned),
        (DeliveryState.ACCEPTED, None, certificate.accepted),
        *((DeliveryState.WITHHELD, reason, letters) for reason, letters in reasons.items()),
        (DeliveryState.FAILED, None, certificate.failed),
        (DeliveryState.UNCERTAIN, None, certificate.uncertain),
    ]


def as_json(certificate: Certificate) -> dict[str, object]:
    """Return it for a file, in the names of the contract."""
    return {
        "planned": certificate.planned,
        "accepted": certificate.accepted,
        "withheld": certificate.withheld_in_all,
        "reasons": {reason.value: count for reason, count in certificate.withheld.items()},
        "failed": certificate.failed,
        "uncertain": certificate.uncertain,
        "counted_at": certificate.at.isoformat(),
        "list_hash": certificate.list_hash,
    }
