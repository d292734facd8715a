"""What may be typed as a new version of a text."""

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, StringField, TextAreaField

from crm.consent.archive import Wording
from crm.web.reading import Form, Read, line, paragraphs

LONGEST_LABEL, LONGEST_TITLE, LONGEST_BODY = 300, 200, 60_000

NAMES = {
    "policy": _("Policy"),
    "processing": _("Consent to processing"),
    "marketing_email": _("Consent to promotion by e-mail"),
    "marketing_sms": _("Consent to promotion by SMS"),
    "marketing_phone": _("Consent to promotion by phone"),
}
ASKS = {
    "policy": _("Informs and asks for nothing; every form links to it."),
    "processing": _("Asks for one thing: to keep and use what is typed, so that we can answer."),
    "marketing_email": _("Asks for one thing: to send promotion by e-mail."),
    "marketing_sms": _("Asks for one thing: to send promotion by SMS."),
    "marketing_phone": _("Asks for one thing: to offer services by phone."),
}


class TextForm(Form):
    """A consent: the sentence beside the box, and the document behind it."""

    label = StringField(
        _("Sentence beside the box"),
        [Read(line(LONGEST_LABEL))],
        description=_("What the visitor agrees to by ticking, in one sentence."),
    )
    title = StringField(_("Title"), [Read(line(LONGEST_TITLE))])
    body = TextAreaField(
        _("Text"),
        [Read(paragraphs(LONGEST_BODY))],
        description=_("Plain text; an empty line parts paragraphs."),
    )
    after = HiddenField()

    def __init__(self, *, has_box: bool, **given: Any) -> None:
        super().__init__(**given)
        if not has_box:
            del self.label

    @property
    def wording(self) -> Wording:
        """Return what was typed; valid once ``validate`` has returned True."""
        label = self.label.data if "label" in self else ""
        return Wording(label=label or "", title=self.title.data or "", body=self.body.data or "")

    @property
    def seen(self) -> int:
        """Return the version that was in force when the page was opened; -1 for nonsense."""
        typed = str(self.after.data or "")
        return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else -1
