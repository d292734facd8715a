"""What may be typed about a form of the site."""

import re

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, StopValidation
from wtforms.widgets import CheckboxInput, ListWidget

from crm.appointments.models import RequestKind
from crm.clinic.rules import read_origin
from crm.consent.forms import NAMES
from crm.consent.kinds import CONSENTS
from crm.errors import Invalid, later
from crm.intake.models import Form as SiteForm
from crm.intake.rules import PROCESSING
from crm.intake.site_forms import Shape
from crm.web.reading import Form, OutOfBounds, Read, line, options

MOST_ORIGINS = 20
LONGEST_TITLE = 120
KINDS = {
    RequestKind.QUESTION: _("Question"),
    RequestKind.ORDER: _("Order"),
    RequestKind.APPOINTMENT: _("Appointment"),
}
NEEDS_PROCESSING = _(
    "Without the consent to processing nothing may be taken in: leave its box in the form."
)
NOT_A_KEY = later("Small Latin letters, digits and hyphens, 2 to 32, beginning with a letter.")
_KEY = re.compile(r"[a-z][a-z0-9-]{1,31}")


def _key(typed: str) -> str:
    key = typed.strip()
    if not _KEY.fullmatch(key):
        raise Invalid(say=NOT_A_KEY)
    return key


def _origins(typed: str) -> list[str]:
    found = list(dict.fromkeys(read_origin(one) for one in typed.split() if one))
    if len(found) > MOST_ORIGINS:
        raise OutOfBounds(later("%(most)s addresses at most."), most=MOST_ORIGINS)
    return found


class Origins(TextAreaField):
    """One origin a line; its data is a list once it has been read."""

    def _value(self) -> str:
        return "\n".join(self.data) if isinstance(self.data, list) else self.data or ""


class ShapeForm(Form):
    """A form of the site, without its key."""

    title_ru = StringField(_("Title in Russian"), [Read(line(LONGEST_TITLE))])
    title_en = StringField(_("Title in English"), [Read(line(LONGEST_TITLE))])
    kind = SelectField(
        _("What people send through it"),
        choices=options((kind.value, name) for kind, name in KINDS.items()),
    )
    text_keys = SelectMultipleField(
        _("Consents it asks for, a box each"),
        [InputRequired(NEEDS_PROCESSING)],
        choices=options((key, NAMES[key]) for key in CONSENTS),
        description=_("No box is ticked in advance. Promotion is never a condition."),
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )
    origins = Origins(
        _("Sites that may embed it and send it"),
        [Read(_origins)],
        description=_(
            "One a line, such as https://clinic.example. Without any, the form works on its own "
            "page only."
        ),
    )
    active = BooleanField(_("Open"), description=_("A shut form answers that it is not there."))

    def validate_text_keys(self, field: SelectMultipleField) -> None:
        """Refuse a form that may keep nothing."""
        if PROCESSING not in (field.data or []):
            raise StopValidation(NEEDS_PROCESSING)

    @property
    def shape(self) -> Shape:
        """Return what was chosen; valid once ``validate`` has returned True."""
        chosen = set(self.text_keys.data or [])
        return Shape(
            title_ru=self.title_ru.data or "",
            title_en=self.title_en.data or "",
            kind=RequestKind(self.kind.data),
            text_keys=[key for key in CONSENTS if key in chosen],
            origins=list(self.origins.data or []),
            active=bool(self.active.data),
        )


class NewSiteForm(ShapeForm):
    """A new form: its key stands in its address for ever."""

    key = StringField(
        _("Key in the address"),
        [Read(_key)],
        description=_("Such as “question”: the form is at /f/question. It never changes."),
    )


def filled(form: SiteForm) -> dict[str, object]:
    """Return the form's shape as initial values of a ``ShapeForm``."""
    return {
        "title_ru": form.title_ru,
        "title_en": form.title_en,
        "kind": form.kind.value,
        "text_keys": form.text_keys,
        "origins": form.origins,
        "active": form.active,
    }
