"""Refusals that end a request. Each names one thing a person can act on."""

from typing import ClassVar


def later(message: str) -> str:
    """Return ``message`` unchanged: marks a sentence that the web edge will translate."""
    return message


class CrmError(Exception):
    """Base of every deliberate refusal.

    ``status`` is the HTTP status the web edge answers with; ``say`` is the sentence shown to the
    person, an English msgid. Neither may carry personal data: both end up in logs.
    """

    status: ClassVar[int] = 400
    say: str = later("That cannot be done.")

    def __init__(self, note: str = "", *, say: str | None = None) -> None:
        super().__init__(note)
        if say is not None:
            self.say = say


class NotFound(CrmError):  # noqa: N818 - reads as what happened, not as a fault of ours
    status = 404
    say = later("There is no such record.")


class InvalidToken(CrmError):  # noqa: N818
    status = 404
    say = later("This link is damaged. Please write to the clinic instead.")


class Forbidden(CrmError):  # noqa: N818
    status = 403
    say = later("Your role does not allow this.")


class WrongState(CrmError):  # noqa: N818
    status = 409
    say = later("Someone has changed this since the page was opened. Reload it and look again.")


class Invalid(CrmError):  # noqa: N818
    """What was typed cannot be taken; ``say`` tells why."""

    status = 422
    say = later("Please correct what was typed.")


class NotReady(CrmError):  # noqa: N818
    """The clinic's settings lack something without which nothing may be sent."""

    status = 409
    say = later("Sending is off until the clinic's details are complete.")
