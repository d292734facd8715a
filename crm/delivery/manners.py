"""What follows a refusal: for the letter, for where it goes, and for the address. Pure.

What follows for the mailing is ``vigil``'s.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crm.delivery.rules import MAX_TRIES
from crm.mail.refusal import Refusal

STRANGERS_PAUSES: Final = (
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
)
"""Between tries at a server that greylists: most let a letter in after five minutes."""
PAUSES: Final = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
)
RESTS: Final = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
"""How long a destination is left alone: longer each time, until a letter is accepted again."""

RELAY: Final = "relay"
_TRIED_AGAIN: Final = frozenset(
    {Refusal.GREYLISTED, Refusal.MAILBOX_BUSY, Refusal.RATE_LIMITED, Refusal.UNAVAILABLE}
)
"""Whatever the code: ``550 too many messages, try later`` is no end."""
ABOUT_US: Final = frozenset({Refusal.POLICY, Refusal.OUR_FAULT})
"""What says something of the sender or the letter, and nothing of a person."""
_OF_A_DESTINATION: Final = frozenset({Refusal.UNAVAILABLE, Refusal.POLICY})
"""What, for now, can mean everybody's letters there: neither a stranger's nor one mailbox's."""
_CLOSING: Final = 421


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What one refusal of one letter brings."""

    retry_at: datetime | None = None
    """When to try again; None: the delivery has failed."""
    rests: bool = False
    """Put the letter's ``destination`` at rest (``rest.rest``)."""
    rests_if_repeated: bool = False
    """Put it at rest if it says so to several letters (``door.Doors``): once is a hiccup."""
    bounced: bool = False
    """Record ``Act.BOUNCED`` for the address: it gets nothing any more, reminders included."""
    alarms: bool = False
    """Staff are told (``refusals.about_us``): the refusal is about us."""


def after(refusal: Refusal, tries: int, *, code: int | None, at: datetime) -> Consequence:
    """Return what follows the ``tries``-th try of a letter (1 for the first).

    Args:
        refusal: from ``mail.refusal.classify``.
        tries: with this one.
        code: of the reply; None where the connection was lost before the dot.
        at: now.

    """
    for_now = refusal in _TRIED_AGAIN or code is None or code < 500
    again = for_now and tries < MAX_TRIES
    rests = refusal is Refusal.RATE_LIMITED or _hung_up(refusal, code)
    is_temporary = code is not None and code < 500
    pauses = STRANGERS_PAUSES if refusal is Refusal.GREYLISTED else PAUSES
    return Consequence(
        retry_at=at + pauses[tries - 1] if again else None,
        rests=rests,
        rests_if_repeated=is_temporary and not rests and refusal in _OF_A_DESTINATION,
        bounced=refusal is Refusal.NO_SUCH_ADDRESS,
        alarms=refusal in ABOUT_US,
    )


def destination(provider: str, domain: str) -> str:
    """Return the name of what rests after a refusal: a group of domains, or one of the others.

    >>> destination("gmail", "gmail.com"), destination("other", "firm.example")
    ('provider:gmail', 'domain:firm.example')
    """
    return f"domain:{domain}" if provider == "other" else f"provider:{provider}"


def _hung_up(refusal: Refusal, code: int | None) -> bool:
    return code == _CLOSING and refusal is not Refusal.GREYLISTED
