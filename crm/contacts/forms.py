"""What may be typed of a person."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import (
    BooleanField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than stubs
from wtforms.validators import InputRequired, StopValidation
from wtforms.widgets import HiddenInput

from crm.contacts.edit import Details
from crm.contacts.models import Category, Contact
from crm.contacts.typed import read_name, read_note
from crm.current import settings
from crm.errors import CrmError
from crm.mail.addresses import Domains, Email, Phone, read_email, read_phone
from crm.web.reading import Form

CATEGORIES = {
    Category.PATIENT.value: _("Patient"),
    Category.REPRESENTATIVE.value: _("Patient’s representative"),
    Category.SITE_USER.value: _("Visitor of the site"),
}
SOURCES = {"desk": _("At the desk"), "phone": _("By phone"), "paper": _("On paper")}
UNKNOWN_FIELDS = _(
    "Only a name, contact details and a note are kept here. Other fields are not taken: "
    "no dates of birth, no documents, nothing about health."
)


def _choices(words: Mapping[str, str]) -> list[SelectChoice]:
    return [SelectChoice("", _("Choose…")), *(SelectChoice(*pair) for pair in words.items())]


class _Read:
    """Reads what was typed; the value of ``reader`` stands in ``field.read``."""

    def __init__(self, reader: Callable[[str], Any]) -> None:
        self.reader = reader

    def __call__(self, form: Form, field: Any) -> None:
        try:
            field.read = self.reader(field.data or "")
        except CrmError as fault:
            field.read = None
            raise StopValidation(gettext(fault.say)) from fault


def _email(typed: str) -> Email | None:
    domains = Domains.PUBLIC if settings().secure else Domains.WITH_TEST
    return read_email(typed, domains=domains) if typed.strip() else None


def _phone(typed: str) -> Phone | None:
    return read_phone(typed) if typed.strip() else None


class ReadLine(StringField):
    read: Any = None
    """What was typed, as the reader understood it."""


class ReadText(TextAreaField):
    read: Any = None


class ContactForm(Form):
    """Shape only. Faults are sentences beside the field; what was typed stays."""

    last_name = ReadLine(_("Last name"), [_Read(read_name)])
    first_name = ReadLine(_("First name"), [_Read(read_name)])
    patronymic = ReadLine(_("Patronymic"), [_Read(read_name)])
    category = SelectField(
        _("Who the person is"),
        [InputRequired(_("Choose who the person is."))],
        choices=_choices(CATEGORIES),
    )
    email = ReadLine(_("E-mail"), [_Read(_email)])
    phone = ReadLine(_("Phone"), [_Read(_phone)])
    note = ReadText(
        _("Note"),
        [_Read(read_note)],
        description=_("Up to 500 characters. Nothing about health, visits or doctors."),
    )
    keep_note = BooleanField(_("I have read the note again. It says nothing about health."))
    shared = BooleanField(_("Yes, they share it"))

    health_words: Sequence[str] = ()
    """Words of the note that somebody has to look at again."""
    others: Sequence[tuple[str, Contact]] = ()
    """Addresses typed, and who is behind them already."""

    def validate(self, extra_validators: Any = None) -> bool:
        """Return whether all of it can be taken; fields that we never asked for cannot."""
        well = bool(super().validate(extra_validators))
        asked_for = {field.name for field in self} | {"csrf_token"}
        if set(request.form) - asked_for:
            self.form_errors.append(str(UNKNOWN_FIELDS))
            well = False
        if well and not (self.last_name.read or self.first_name.read):
            self.last_name.errors = [gettext("Type at least a last or a first name.")]
            well = False
        return well

    def details(self) -> Details:
        """Return what was typed, read. Call after ``validate`` said yes."""
        read: dict[str, Any] = {
            name: getattr(self, name).read
            for name in ("last_name", "first_name", "patronymic", "email", "phone", "note")
        }
        return Details(category=Category(self.category.data), **read)


class NewContactForm(ContactForm):
    source = SelectField(
        _("How you know"),
        [InputRequired(_("Choose how you know."))],
        choices=_choices(SOURCES),
    )


class ChangeContactForm(ContactForm):
    revision = IntegerField(widget=HiddenInput())
