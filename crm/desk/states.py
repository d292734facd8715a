"""Consent in the few words of a list: what the reasons of dispatch come to for a reader."""

from enum import StrEnum

from crm.consent.rules import Reason


class Consented(StrEnum):
    """May we advertise to this address? Each has a word and a sign of its own."""

    ALLOWED = "allowed"
    WAITING = "waiting"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    NEVER_ASKED = "never_asked"
    NO_ADDRESS = "no_address"
    NEEDS_NONE = "needs_none"
    """Answering a request stands on the request, not on a consent."""


OF_REASON: dict[Reason, Consented] = {
    Reason.NEVER_ASKED: Consented.NEVER_ASKED,
    Reason.UNCONFIRMED: Consented.WAITING,
    Reason.EXPIRED: Consented.EXPIRED,
    Reason.OPTED_OUT: Consented.REFUSED,
    Reason.WITHDRAWN: Consented.REFUSED,
    Reason.STOP_DEMANDED: Consented.REFUSED,
    Reason.COMPLAINED: Consented.REFUSED,
    Reason.SUPPRESSED: Consented.REFUSED,
    Reason.BOUNCED: Consented.UNREACHABLE,
    Reason.BLOCKED: Consented.BLOCKED,
    Reason.DESTROYED: Consented.BLOCKED,
}
"""The reasons that a standing can give; the others are a mailing's own."""

FILTERS = (
    Consented.ALLOWED,
    Consented.WAITING,
    Consented.REFUSED,
    Consented.EXPIRED,
    Consented.UNREACHABLE,
    Consented.NEVER_ASKED,
    Consented.NO_ADDRESS,
)

ORDER = (
    Consented.ALLOWED,
    Consented.WAITING,
    Consented.EXPIRED,
    Consented.NEVER_ASKED,
    Consented.UNREACHABLE,
    Consented.REFUSED,
    Consented.BLOCKED,
)
"""Of several addresses on one channel the first of these speaks: can the person be reached?"""


def best(states: list[Consented]) -> Consented:
    """Return what several addresses of one channel come to.

    >>> best([Consented.REFUSED, Consented.ALLOWED]).value
    'allowed'
    """
    return min(states, key=ORDER.index)
