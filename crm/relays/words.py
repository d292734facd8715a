"""Why a relay is away, in the reader's language."""

from typing import Final

from flask_babel import gettext

from crm.errors import later

AWAY: Final = later(
    "The mail relay %(relay)s has been out of reach since %(since)s, last tried at %(tried)s: "
    "%(because)s. We try again by ourselves; nothing is lost."
)
_OBVIOUS: Final = "The relay could not be reached"
_OURS_BEGIN: Final = ("The relay", "The letter", "The connection", "No encrypted connection")
"""What the wire and the sender say themselves begins like this."""
KNOWN: Final = (
    later("The relay's name was not found"),
    later("The relay's certificate was refused"),
    later("No encrypted connection to the relay"),
    later("it did not answer in time"),
    later("Connection refused"),
    later("Connection reset by peer"),
    later("Connection timed out"),
    later("Name or service not known"),
    later("Temporary failure in name resolution"),
    later("Network is unreachable"),
    later("No route to host"),
    later("certificate has expired"),
    later("self-signed certificate"),
)
"""What the wire and the system say most; what is not in here stays as it is."""


def of_a_reply(reply: str) -> str:
    """Return what is stored as a relay's answer: a sentence of ours in the reader's language.

    A server's words stay as they are, also where they happen to be words of ours ("Rejected").
    """
    if not reply.startswith(_OURS_BEGIN):
        return reply
    return in_words(reply) if ": " in reply else str(gettext(reply))


def in_words(because: str) -> str:
    """Return the reason as a part of a sentence, without a full stop; a server's words as they are.

    What stands before the first colon is ours, what stands behind it the system's or the relay's.
    """
    head, _colon, rest = because.partition(": ")
    parts = [rest] if rest and head == _OBVIOUS else [part for part in (head, rest) if part]
    return ": ".join(gettext(part).removesuffix(".") for part in parts)
