"""Which relay may be given letters, by what the clinic has declared of it. Pure.

A letter holds personal data, so whoever owns the relay processes them for the clinic.

Source: 152-FZ art. 6(3) (a processor works under a contract that the consent names), 12 and 18(5)
(data of citizens are kept in Russia).
"""

from enum import StrEnum
from ipaddress import ip_address
from typing import Final, Protocol

from crm.errors import later
from crm.mail.smtp import Relay

RUSSIA: Final = "RU"

NONE_MAY_SEND: Final = later(
    "No mail relay may be given letters. An administrator declares them under “Mail relays”."
)
"""Why a mailing stands still."""
NOT_WITH_ONESELF: Final = later(
    "This is the clinic itself, which has no contract with itself: choose its own server."
)
NOT_OURS: Final = later("The clinic’s own server belongs to the clinic: type its legal name.")


class Bond(StrEnum):
    """What binds the owner of a relay to the clinic."""

    OWN = "own"
    """It is the clinic."""
    PROCESSOR = "processor"
    """Named in the consent texts, and bound by a contract."""
    NONE = "none"


class Refusal(StrEnum):
    """Why a relay is given no letters."""

    UNDECLARED = "undeclared"
    ABROAD = "abroad"
    NOT_A_PROCESSOR = "not_a_processor"


class Declared(Protocol):
    """What is known of a relay's owner."""

    @property
    def country(self) -> str:
        """ISO 3166 alpha-2."""

    @property
    def bond(self) -> Bond: ...


def name_of(relay: Relay) -> str:
    """Return what a relay is known by: ``host:port``.

    >>> name_of(Relay("::1", 25))
    '[::1]:25'
    """
    host = f"[{relay.host}]" if ":" in relay.host else relay.host
    return f"{host}:{relay.port}".lower()


def is_this_machine(relay: Relay) -> bool:
    """Return whether the relay is this machine's own: letters that it takes have not left yet."""
    try:
        return ip_address(relay.host).is_loopback
    except ValueError:
        return relay.host == "localhost" or relay.host.endswith(".localhost")


def refusal(relay: Relay, declared: Declared | None) -> Refusal | None:
    """Return why the relay may not be given letters, or None if it may.

    A host name is not looked up: where a server stands is declared, not guessed from an address.
    """
    if is_this_machine(relay):
        return None
    if declared is None:
        return Refusal.UNDECLARED
    if declared.country != RUSSIA:
        return Refusal.ABROAD
    return Refusal.NOT_A_PROCESSOR if declared.bond is Bond.NONE else None


def contradiction(*, owner: str, bond: Bond, clinic: str) -> str | None:
    """Return the sentence that says why this owner cannot be bound so, or None.

    ``clinic`` is its legal name; while that is empty, nothing can be compared.
    """
    is_clinic = owner.casefold() == clinic.casefold()
    if not clinic or is_clinic is (bond is Bond.OWN):
        return None
    if is_clinic:
        return NOT_WITH_ONESELF
    return NOT_OURS if bond is Bond.OWN else None
