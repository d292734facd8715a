"""What may be typed about a campaign outside its editor."""

from typing import Any, Final

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import StringField, ValidationError
from wtforms.widgets import NumberInput

from crm.campaigns.rules import FASTEST, SLOWEST, NameFault, read_name
from crm.clinic.forms import Number
from crm.letters.blocks import DocumentFault
from crm.letters.merge import Kind
from crm.letters.reading import read_subject
from crm.web.reading import Form, Read, whole

_SPEED: Final = whole(SLOWEST, FASTEST)


def read_speed(typed: str) -> int | None:
    """Return letters a minute; None where nothing was typed. Raises Invalid."""
    return _SPEED(typed) if typed.strip() else None


class LinesForm(Form):
    """The name of a campaign and the subject of its letter."""

    name = StringField(
        _l("Name of the campaign"),
        description=_l("For the clinic only: recipients do not see it."),
    )
    subject = StringField(
        _l("Subject"), description=_l("What recipients see first. No word about health here.")
    )

    def validate_name(self, field: Any) -> None:
        """Leave the cleaned name in the field."""
        try:
            field.data = read_name(field.data)
        except NameFault as fault:
            raise ValidationError(gettext(fault.say)) from fault

    def validate_subject(self, field: Any) -> None:
        """Leave the cleaned subject in the field."""
        try:
            field.data = read_subject(field.data or "", Kind.PROMOTIONAL)
        except DocumentFault as fault:
            raise ValidationError(gettext(fault.faults[0].say, **fault.faults[0].values)) from fault


class SpeedForm(Form):
    """A campaign's own speed: beside its approval, and while it goes."""

    per_minute = Number(
        _l("Letters a minute, at most"),
        [Read(read_speed)],
        description=_l(
            "From 1 to 100,000. Empty: as fast as the mail relay and the mail providers allow."
        ),
        widget=NumberInput(min=SLOWEST, max=FASTEST),
    )
