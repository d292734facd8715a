"""What pages call the things of the ledger, of reception and of the audit log."""

from collections.abc import Mapping, Sequence

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from crm.appointments.models import AppointmentState, RequestKind
from crm.consent.rules import Act, Channel, Purpose, Reason
from crm.contacts.forms import CATEGORIES
from crm.desk.states import Consented

CONSENTED = {
    Consented.ALLOWED: _("allowed"),
    Consented.WAITING: _("waiting for confirmation"),
    Consented.REFUSED: _("refused"),
    Consented.EXPIRED: _("expired"),
    Consented.UNREACHABLE: _("does not arrive"),
    Consented.BLOCKED: _("blocked"),
    Consented.NEVER_ASKED: _("never asked"),
    Consented.NO_ADDRESS: _("no e-mail address"),
    Consented.NEEDS_NONE: _("no consent needed"),
}
CHIP = {
    Consented.ALLOWED: "on",
    Consented.WAITING: "wait",
    Consented.REFUSED: "no",
    Consented.EXPIRED: "wait",
    Consented.UNREACHABLE: "no",
    Consented.BLOCKED: "no",
    Consented.NEVER_ASKED: "off",
    Consented.NEEDS_NONE: "on",
}
FILTER = {
    Consented.ALLOWED: _("E-mail allowed"),
    Consented.WAITING: _("Waiting for confirmation"),
    Consented.REFUSED: _("Refused"),
    Consented.EXPIRED: _("Consent expired"),
    Consented.UNREACHABLE: _("Letters do not arrive"),
    Consented.NEVER_ASKED: _("Never asked"),
    Consented.NO_ADDRESS: _("No e-mail address"),
}
CHANNEL = {Channel.EMAIL: _("E-mail"), Channel.SMS: _("SMS"), Channel.PHONE: _("Calls")}
PURPOSE = {
    Purpose.SERVICE: _("Answers and appointments"),
    Purpose.MARKETING: _("Advertising"),
}
REASON = {
    Reason.NEVER_ASKED: _("Nobody has asked for consent here."),
    Reason.UNCONFIRMED: _("The box was ticked, the link in the letter has not been opened yet."),
    Reason.EXPIRED: _("The term of the consent is over."),
    Reason.OPTED_OUT: _("Refused advertising."),
    Reason.WITHDRAWN: _("Withdrew the consent."),
    Reason.STOP_DEMANDED: _("Demanded that processing stop."),
    Reason.BLOCKED: _("The address is blocked."),
    Reason.DESTROYED: _("The data have been destroyed."),
    Reason.SUPPRESSED: _("On the stop list since an earlier refusal."),
    Reason.BOUNCED: _("Letters to this address come back."),
    Reason.COMPLAINED: _("Marked a letter of ours as spam."),
}
ACT = {
    Act.ASKED: _("Ticked the consent box"),
    Act.CONFIRMED: _("Confirmed the consent"),
    Act.OPTED_OUT: _("Refused advertising"),
    Act.STOP_DEMANDED: _("Demanded that processing stop"),
    Act.WITHDRAWN: _("Withdrew the consent"),
    Act.PURPOSE_ENDED: _("The purpose was achieved"),
    Act.COMPLAINED: _("Marked a letter as spam"),
    Act.BOUNCED: _("A letter came back: no such mailbox"),
}
ACT_ICON = {
    Act.ASKED: "circle-dashed",
    Act.CONFIRMED: "check",
    Act.BOUNCED: "mail-x",
    Act.PURPOSE_ENDED: "flag",
}
"""The others are stops."""
REQUEST = {
    RequestKind.QUESTION: _("Asked a question"),
    RequestKind.ORDER: _("Placed an order"),
    RequestKind.APPOINTMENT: _("Asked for an appointment"),
}
APPOINTMENT = {
    AppointmentState.REQUESTED: _("requested"),
    AppointmentState.PROPOSED: _("waiting for an answer"),
    AppointmentState.CONFIRMED: _("confirmed"),
    AppointmentState.MOVE_REQUESTED: _("asks to move"),
    AppointmentState.MOVED: _("moved"),
    AppointmentState.CANCELLED: _("cancelled"),
    AppointmentState.EXPIRED: _("expired"),
    AppointmentState.ARRIVED: _("came"),
    AppointmentState.NO_SHOW: _("did not come"),
}
SOURCE = {
    "desk": _("at the desk"),
    "phone": _("by phone"),
    "letter": _("by letter"),
    "paper": _("on paper"),
    "link": _("by the link in a letter"),
    "one_click": _("by the mail program’s button"),
    "mailto": _("by writing to us"),
    "bounce": _("from the mail server"),
    "journal": _("from the journal, after a restore"),
}
HOW = {"phone": _("By phone"), "desk": _("At the desk"), "letter": _("By letter")}
EDITS = {
    "contact.added": _("Added by hand"),
    "contact.changed": _("Card changed"),
    "contact.note_warned": _("Warned about health words in the note"),
    "contact.lift_refused": _("Tried to lift a refusal: not allowed"),
}
FIELD = {
    "last_name": _("last name"),
    "first_name": _("first name"),
    "patronymic": _("patronymic"),
    "category": _("who the person is"),
    "note": _("note"),
    "email": _("e-mail"),
    "phone": _("phone"),
}
CATEGORY = CATEGORIES
STEP = {
    "clinic": (
        _("Fill in the clinic’s details"),
        _("Letters name who they come from. Until then nothing can be sent."),
        "clinic.settings",
        "building-hospital",
    ),
    "forms": (
        _("Put a form on the site"),
        _("People leave a request there and agree, or not, to letters."),
        "intake.forms",
        "forms",
    ),
    "contacts": (
        _("Add the first contact"),
        _("By hand, or let the form bring them."),
        "contacts.new",
        "user-plus",
    ),
}
"""The first steps of a new clinic: what, why, the page and its icon."""
AUDIT_FEATURE = {
    "contact.": _("Everything about contacts"),
    "request.": _("Everything about requests"),
    "appointment.": _("Everything about appointments"),
    "campaign.": _("Everything about campaigns"),
    "staff.": _("Everything about staff"),
}
AUDIT = {
    "contact.viewed": _("Looked at a contact"),
    "contact.opened": _("Opened a contact for editing"),
    "contact.added": _("Added a contact"),
    "contact.changed": _("Changed a contact"),
    "contact.note_warned": _("Was warned about health words in a note"),
    "contact.opted_out": _("Recorded a refusal of advertising"),
    "contact.lift_refused": _("Tried to lift a refusal"),
    "request.viewed": _("Looked at a request"),
    "request.claimed": _("Took a request"),
    "request.released": _("Gave a request back"),
    "request.closed": _("Closed a request"),
    "appointment.proposed": _("Proposed an appointment"),
    "appointment.agreed": _("Agreed on an appointment"),
    "appointment.cancelled": _("Cancelled an appointment"),
    "campaign.created": _("Created a campaign"),
    "campaign.copied": _("Copied a campaign"),
    "campaign.edited": _("Edited a campaign"),
    "campaign.tested": _("Sent a test letter"),
    "campaign.approved": _("Approved a campaign"),
    "campaign.launched": _("Campaign launched"),
    "campaign.paused": _("Paused a campaign"),
    "campaign.resumed": _("Resumed a campaign"),
    "campaign.stopped": _("Stopped a campaign"),
    "campaign.sent_late": _("Sent a campaign late"),
    "mailing.resent": _("Sent uncertain letters again"),
    "campaign.halted": _("Sending of a campaign ceased"),
    "clinic.changed": _("Changed the clinic’s details"),
    "installation.released": _("Released this installation"),
    "relay.declared": _("Declared whose a mail relay is"),
    "pace.changed": _("Changed the pace to a mail provider"),
    "rest.lifted": _("Ended a pause of sending"),
    "text.published": _("Published a text"),
    "form.submitted": _("A form was submitted"),
    "form.created": _("Created a site form"),
    "form.changed": _("Changed a site form"),
    "form.token_made": _("Made a form’s token"),
    "form.token_removed": _("Removed a form’s token"),
    "recipient.opted_out": _("A recipient unsubscribed"),
    "recipient.confirmed": _("A recipient confirmed consent"),
    "confirmation.queued": _("Letter of confirmation queued"),
    "staff.added": _("Added a member of staff"),
    "staff.renamed": _("Renamed a member of staff"),
    "staff.roles_changed": _("Changed somebody’s roles"),
    "staff.deactivated": _("Deactivated an account"),
    "staff.reactivated": _("Reactivated an account"),
    "staff.signed_in": _("Signed in"),
    "staff.signed_out": _("Signed out"),
    "staff.signed_out_everywhere": _("Signed out everywhere"),
    "staff.sign_in_failed": _("A sign-in failed"),
    "staff.password_changed": _("Changed the password"),
    "staff.password_reset": _("Reset a password"),
}
"""What is not here is shown by its own name: the log holds more than this page can say."""
DETAIL = {
    "addresses": _("addresses"),
    "health_words": _("health words"),
    "count": _("letters"),
    "epoch": _("epoch"),
    "stops": _("refusals done again"),
    "letters": _("letters not sent again"),
    "mailings": _("mailings held"),
    "revision": _("revision"),
    "outcome": _("outcome"),
    "provider": _("mail provider"),
    "planned": _("letters planned"),
    "accepted": _("accepted"),
    "wire": _("on the wire"),
    "rest": _("not begun"),
    "took_ms": _("took, ms"),
    "passed": _("nothing left afterwards"),
    "stopped": _("stopped for good"),
    "delivery_id": _("letter"),
    "request_id": _("request"),
    "asked_event_id": _("event of the ledger"),
    "event_id": _("event of the ledger"),
}
SUBJECT = {
    "contact": _("contact"),
    "request": _("request"),
    "appointment": _("appointment"),
    "campaign": _("campaign"),
    "staff": _("member of staff"),
    "address": _("address"),
    "form": _("site form"),
    "text": _("text"),
    "clinic": _("clinic"),
    "relay": _("mail relay"),
}
_CARDS = {
    "contact": ("desk.contact", "contact_id"),
    "campaign": ("campaigns.show", "campaign_id"),
    "request": ("appointments.show", "request_id"),
}


def subject_page(subject: str) -> tuple[str, str] | None:
    """Return the page of a subject and the name of its id there, where there is one."""
    return _CARDS.get(subject)


def fields(stored: str) -> str:
    """Return the names of changed fields."""
    return ", ".join(str(FIELD.get(name, name)) for name in stored.split())


def detail(stored: Mapping[str, object]) -> str:
    """Return the particulars of an audit line in one line."""
    return "; ".join(_particular(name, value) for name, value in sorted(stored.items()))


def _particular(name: str, value: object) -> str:
    if name == "fields":
        return fields(str(value))
    if name == "source":
        return source(str(value))
    if isinstance(value, bool):
        value = gettext("yes") if value else gettext("no")
    return f"{DETAIL.get(name, name)}: {value}"


def channels(named: Sequence[Channel]) -> str:
    """Return channels in one breath; the first keeps its capital."""
    first, *rest = [str(CHANNEL[channel]) for channel in named]
    return ", ".join([first, *(name if name.isupper() else name.lower() for name in rest)])


def source(stored: str) -> str:
    """Return where a fact or a record came from, in words."""
    kind, _colon, name = stored.partition(":")
    if kind == "form":
        return str(gettext("form “%(name)s”", name=name))
    return str(SOURCE.get(stored, stored))
