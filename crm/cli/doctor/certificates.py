"""What is wrong with a certificate, in words."""

import ssl
from datetime import UTC, datetime
from typing import Any

from crm.mail.records import Finding, Mark

SOON_DAYS = 21
_WORDS = {
    10: "its certificate has expired",
    18: "its certificate is signed by nobody but itself",
    19: "its certificate is signed by nobody but itself",
    20: "its certificate comes from an authority that this machine does not know",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
"""By OpenSSL's codes of verification."""


def refused(fault: ssl.SSLCertVerificationError) -> str:
    """Return why a certificate was not believed."""
    known = _WORDS.get(fault.verify_code)
    return known or f"its certificate cannot be verified: {fault.verify_message}"


def lasting(certificate: dict[str, Any], *, at: datetime) -> Finding:
    """Return how long a certificate that was believed still lasts."""
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (end - at).days
    told = f"answers, with a certificate good for {days} more days"
    if days < SOON_DAYS:
        return Finding(Mark.HINT, told, "renew it, and see why that did not happen by itself")
    return Finding(Mark.OK, told)
