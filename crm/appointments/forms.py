"""What reception types when setting a time."""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext, lazy_gettext
from wtforms import DateField, HiddenField, StringField, TimeField
from wtforms.validators import InputRequired, StopValidation

from crm.appointments.proposals import Visit
from crm.appointments.rules import moment, place
from crm.errors import later
from crm.letters.blocks import Document
from crm.letters.lint import lint
from crm.letters.merge import Kind
from crm.web.reading import Form

_NO_DAY = lazy_gettext("Choose a day.")
_BAD_DAY = lazy_gettext("This is not a date. Write it as 2027-11-24.")
_NO_HOUR = lazy_gettext("Choose a time.")
_TELLS = later("“%(found)s”: the place may not tell why the patient comes.")
HEALTH_LAW = "323-FZ 13"
_BAD_HOUR = lazy_gettext("This is not a time. Write it as 10:30.")


class Day(DateField):
    """A native date input that speaks our words."""

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        try:
            super().process_formdata([str(value).strip() for value in valuelist])
        except ValueError as error:
            raise ValueError(_BAD_DAY) from error


class Hour(TimeField):
    """A native time input that speaks our words."""

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        try:
            super().process_formdata([str(value).strip() for value in valuelist])
        except ValueError as error:
            raise ValueError(_BAD_HOUR) from error


class VisitForm(Form):
    """Day, hour and place. ``visit`` is there once ``validate`` has returned True."""

    day = Day(lazy_gettext("Day"), [InputRequired(_NO_DAY)])
    hour = Hour(lazy_gettext("Time"), [InputRequired(_NO_HOUR)])
    place = StringField(lazy_gettext("Place"))
    revision = HiddenField()

    def __init__(self, *, zone: ZoneInfo, usual_place: str, at: datetime, **given: Any) -> None:
        """Take the clinic's zone and address, and the moment before which nothing is offered."""
        self._zone, self._usual_place, self._at = zone, usual_place, at
        self._starts_at: datetime | None = None
        super().__init__(**given)

    def validate_day(self, _field: Day) -> None:
        """Refuse a time that cannot be: it needs both fields, and is told at the day."""
        if not isinstance(self.day.data, date) or not isinstance(self.hour.data, time):
            return
        found = moment(self.day.data, self.hour.data, self._zone, at=self._at)
        if isinstance(found, str):
            raise StopValidation(gettext(found))
        self._starts_at = found

    def validate_place(self, field: StringField) -> None:
        """Refuse what may not stand in a letter, a speciality above all (MED-01)."""
        try:
            field.data = place(field.data or "")
        except ValueError as error:
            raise StopValidation(gettext(str(error))) from error
        if field.data == self._usual_place:
            return
        empty = Document(preheader="", blocks=())
        for finding in lint(empty, field.data, Kind.SERVICE):
            say = _TELLS if finding.law == HEALTH_LAW else finding.say
            raise StopValidation(gettext(say, found=finding.found))

    @property
    def visit(self) -> Visit:
        """Return what was typed."""
        if self._starts_at is None or not self.place.data:
            raise ValueError("not validated")
        seen = str(self.revision.data or "")
        known = seen.isascii() and seen.isdigit() and len(seen) < 10
        return Visit(
            starts_at=self._starts_at,
            place=self.place.data,
            revision=int(seen) if known else -1,
        )
