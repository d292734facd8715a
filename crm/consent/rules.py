"""The law as a page of Python: may we write to this address, for this purpose, on this channel?

Pure decisions; nothing here reads a clock or a database.
Sources: 152-FZ art. 9, 15, 21; 38-FZ art. 18(1); the reasons are those of the contract.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Purpose(StrEnum):
    SERVICE = "service"
    """Answering a request, confirming an appointment: 152-FZ art. 6(1)(5). Never promotion."""
    MARKETING = "marketing"
    """Promotion: only with prior consent, art. 15(1) and 38-FZ art. 18(1)."""


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PHONE = "phone"


class Basis(StrEnum):
    """The legal basis on which a purpose stands; withdrawal ends only what stands on consent."""

    CONSENT = "consent"
    REQUEST = "request"


BASIS = {Purpose.SERVICE: Basis.REQUEST, Purpose.MARKETING: Basis.CONSENT}


class Act(StrEnum):
    """What a ledger event says happened. Four different stops are four different acts."""

    ASKED = "asked"
    """The box was ticked; nobody has proved yet that the addressee ticked it."""
    CONFIRMED = "confirmed"
    """The addressee confirmed from the mailbox itself, or signed at the desk."""
    OPTED_OUT = "opted_out"
    """Refused promotion: 152-FZ art. 15(2), at once."""
    STOP_DEMANDED = "stop_demanded"
    """Demanded that processing stop: art. 21(5.1)."""
    WITHDRAWN = "withdrawn"
    """Withdrew the consent: art. 9(2), 21(5)."""
    PURPOSE_ENDED = "purpose_ended"
    """The purpose is achieved: art. 21(4)."""
    COMPLAINED = "complained"
    BOUNCED = "bounced"


class Reason(StrEnum):
    """Why a letter did not go. Stored with the delivery and shown; the names are the contract's."""

    NEVER_ASKED = "never_asked"
    UNCONFIRMED = "unconfirmed"
    EXPIRED = "expired"
    OPTED_OUT = "opted_out"
    TOPIC_OFF = "topic_off"
    PERSON_PAUSED = "person_paused"
    WITHDRAWN = "withdrawn"
    STOP_DEMANDED = "stop_demanded"
    BLOCKED = "blocked"
    DESTROYED = "destroyed"
    SUPPRESSED = "suppressed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    FREQUENCY_CAP = "frequency_cap"
    DUPLICATE_ADDRESS = "duplicate_address"
    STOPPED = "stopped"


class Standing(NamedTuple):
    """What one address has told us about one purpose and channel. None is never."""

    asked_at: datetime | None = None
    confirmed_at: datetime | None = None
    expires_at: datetime | None = None
    opted_out_at: datetime | None = None
    stop_demanded_at: datetime | None = None
    withdrawn_at: datetime | None = None
    purpose_ended_at: datetime | None = None
    complained_at: datetime | None = None
    bounced_at: datetime | None = None


class Bars(NamedTuple):
    """What bars an address whatever it agreed to."""

    blocked: bool = False
    destroyed: bool = False
    suppressed: bool = False
    """A keyed token of this address lies in the stop list, not lifted since."""


STOPS: tuple[tuple[str, Reason], ...] = (
    ("stop_demanded_at", Reason.STOP_DEMANDED),
    ("withdrawn_at", Reason.WITHDRAWN),
    ("purpose_ended_at", Reason.EXPIRED),
    ("complained_at", Reason.COMPLAINED),
    ("bounced_at", Reason.BOUNCED),
    ("opted_out_at", Reason.OPTED_OUT),
)
"""Strongest first, so that the reader of a journal sees the one that cannot be argued with."""


def refusal(purpose: Purpose, standing: Standing, bars: Bars, *, at: datetime) -> Reason | None:
    """Return why nothing may go to this address for ``purpose`` at ``at``, or None if it may.

    A stop is lifted only by a consent confirmed after it; at the same instant the stop wins.
    A box ticked by anybody (``asked_at``) lifts nothing.
    """
    if bars.destroyed:
        return Reason.DESTROYED
    if bars.blocked:
        return Reason.BLOCKED
    if BASIS[purpose] is Basis.REQUEST:
        return Reason.BOUNCED if _stands(standing.bounced_at, standing.confirmed_at) else None
    for name, reason in STOPS:
        stop_at = getattr(standing, name)
        if stop_at is not None and _stands(stop_at, standing.confirmed_at):
            return reason
    if bars.suppressed:
        return Reason.SUPPRESSED
    return _lacking(standing, at=at)


def _lacking(standing: Standing, *, at: datetime) -> Reason | None:
    if standing.confirmed_at is None:
        return Reason.NEVER_ASKED if standing.asked_at is None else Reason.UNCONFIRMED
    if standing.expires_at is not None and standing.expires_at <= at:
        return Reason.EXPIRED
    return None


def _stands(stop_at: datetime | None, confirmed_at: datetime | None) -> bool:
    return stop_at is not None and (confirmed_at is None or stop_at >= confirmed_at)


def fold(
    standing: Standing, act: Act, *, at: datetime, expires_at: datetime | None = None
) -> Standing:
    """Return the standing after one more event. The order of events does not matter.

    That is what lets a standing be rebuilt from the ledger and compared with the one kept.
    ``expires_at`` belongs to a confirmation: the end of the term stated in the text shown.
    """
    name = f"{act.value}_at"
    before: datetime | None = getattr(standing, name)
    if before is not None and before >= at:
        return standing
    if act is Act.CONFIRMED:
        return standing._replace(confirmed_at=at, expires_at=expires_at)
    return standing._replace(**{name: at})
