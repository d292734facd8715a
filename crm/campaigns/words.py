"""States and reasons as people say them. Each name is the contract's, each sentence ours."""

from typing import Final, Literal

from flask_babel import lazy_gettext as _l

from crm.consent.rules import Reason
from crm.delivery.states import DeliveryState, MailingState

Look = Literal["on", "no", "wait", "info", "off", ""]
"""Which chip of ``_parts/bits.html`` shows it."""

DRAFT: Final = (_l("Draft"), "off")

MAILING: Final[dict[MailingState, tuple[str, Look]]] = {
    MailingState.SCHEDULED: (_l("Scheduled"), "info"),
    MailingState.OVERDUE: (_l("Missed its time"), "no"),
    MailingState.RUNNING: (_l("Being sent"), "info"),
    MailingState.PAUSED: (_l("Paused"), "wait"),
    MailingState.HELD: (_l("Held by the system"), "wait"),
    MailingState.STOPPED: (_l("Stopped"), "no"),
    MailingState.FINISHED: (_l("Finished"), "on"),
}

DELIVERY: Final[dict[DeliveryState, tuple[str, Look]]] = {
    DeliveryState.QUEUED: (_l("In the queue"), "off"),
    DeliveryState.SENDING: (_l("On the wire"), "info"),
    DeliveryState.ACCEPTED: (_l("Accepted"), "on"),
    DeliveryState.WITHHELD: (_l("Withheld"), "wait"),
    DeliveryState.FAILED: (_l("Rejected"), "no"),
    DeliveryState.UNCERTAIN: (_l("Uncertain"), "wait"),
}

REASONS: Final[dict[Reason, str]] = {
    Reason.NEVER_ASKED: _l("has not agreed to advertising letters"),
    Reason.UNCONFIRMED: _l("has not confirmed the consent from the mailbox"),
    Reason.EXPIRED: _l("the term of the consent is over"),
    Reason.OPTED_OUT: _l("has unsubscribed"),
    Reason.TOPIC_OFF: _l("has switched this topic off"),
    Reason.PERSON_PAUSED: _l("has asked for a pause"),
    Reason.WITHDRAWN: _l("has withdrawn the consent"),
    Reason.STOP_DEMANDED: _l("has demanded that processing stop"),
    Reason.BLOCKED: _l("the address is blocked"),
    Reason.DESTROYED: _l("the data have been destroyed"),
    Reason.SUPPRESSED: _l("the address is in the stop list"),
    Reason.BOUNCED: _l("the mailbox does not accept letters"),
    Reason.COMPLAINED: _l("has complained about a letter"),
    Reason.FREQUENCY_CAP: _l("has had enough letters lately"),
    Reason.DUPLICATE_ADDRESS: _l("shares the address of another recipient"),
    Reason.STOPPED: _l("the mailing was stopped"),
}

DETAILS: Final[dict[str, str]] = {
    "name": _l("the name of the clinic"),
    "legal_name": _l("the legal name"),
    "inn": _l("the taxpayer number (INN)"),
    "postal_address": _l("the postal address"),
    "email": _l("the mailbox for requests"),
    "news_email": _l("the sender's address of advertising letters"),
    "service_email": _l("the sender's address of service letters"),
}
"""``clinic.service.REQUIRED`` in words."""

BLOCKS: Final[dict[str, str]] = {
    "heading": _l("Heading"),
    "text": _l("Text"),
    "button": _l("Button"),
    "image": _l("Picture"),
    "divider": _l("Line"),
    "medical_warning": _l("Medical warning"),
}
