"""What may be typed when declaring a relay."""

from datetime import date
from typing import Any

from flask_babel import get_locale, gettext
from flask_babel import lazy_gettext as _
from wtforms import RadioField, SelectField, StringField
from wtforms.validators import StopValidation
from wtforms.widgets import DateInput

from crm.errors import Invalid, later
from crm.relays.rules import RUSSIA, Bond, contradiction
from crm.relays.service import Declaring
from crm.web.reading import Form, Read, line, maybe_line, options

NOT_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
"""Two-letter codes of CLDR for unions, and for nowhere."""
NOT_A_DAY = later("This is not a date. Write it as 2027-11-24.")
NO_CONTRACT = _("A processor works under a contract: type its number or name.")
NO_DATE = _("Type the date of the contract.")
NOT_YET = _("This day has not come yet.")


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed.strip()) if typed.strip() else None
    except ValueError as error:
        raise Invalid(say=NOT_A_DAY) from error


def countries() -> list[tuple[str, str]]:
    """Return codes and names of all countries in the reader's language, Russia first."""
    named = {
        code: name
        for code, name in get_locale().territories.items()
        if len(code) == 2 and code not in NOT_COUNTRIES
    }
    return [(RUSSIA, named.pop(RUSSIA)), *sorted(named.items(), key=lambda pair: pair[1])]


class Day(StringField):
    """A native date input; its data is a date, or None, once it has been read."""

    widget = DateInput()
    data: Any

    def _value(self) -> str:
        return self.data.isoformat() if isinstance(self.data, date) else self.data or ""


class DeclarationForm(Form):
    """Whose a relay is. ``declaring`` is there once ``validate`` has returned True."""

    owner = StringField(
        _("Owner"),
        [Read(line(200))],
        description=_("Legal name of the company that runs the server."),
    )
    country = SelectField(_("Country where the server stands"))
    bond = RadioField(
        _("What binds the owner to the clinic"),
        choices=options(
            [
                (Bond.OWN.value, _("It is the clinic’s own server")),
                (
                    Bond.PROCESSOR.value,
                    _("A processor: named in the consent texts, under a contract"),
                ),
                (Bond.NONE.value, _("Neither")),
            ]
        ),
    )
    contract = StringField(_("Contract"), [Read(maybe_line(200))])
    contract_on = Day(_("Date of the contract"), [Read(_day)])
    note = StringField(
        _("Note"),
        [Read(maybe_line(500))],
        description=_("If it forwards letters to another server: whose that is, and where."),
    )

    def __init__(self, *, clinic: str, today: date, **given: Any) -> None:
        super().__init__(**given)
        self._clinic, self._today = clinic, today
        self.country.choices = options(countries())

    def validate_owner(self, field: StringField) -> None:
        """Refuse an owner that contradicts what binds it."""
        if self.bond.data in set(Bond):
            bond = Bond(self.bond.data)
            say = contradiction(owner=field.data or "", bond=bond, clinic=self._clinic)
            if say is not None:
                raise StopValidation(gettext(say))

    def validate_contract(self, field: StringField) -> None:
        """Refuse a processor without a contract."""
        if self.bond.data == Bond.PROCESSOR and not field.data:
            raise StopValidation(str(NO_CONTRACT))

    def validate_contract_on(self, field: Day) -> None:
        """Refuse a processor whose contract has no date, or one that is yet to come."""
        if self.bond.data != Bond.PROCESSOR:
            return
        if not isinstance(field.data, date):
            raise StopValidation(str(NO_DATE))
        if field.data > self._today:
            raise StopValidation(str(NOT_YET))

    @property
    def declaring(self) -> Declaring:
        """Return what was typed; a contract of a processor only."""
        bond = Bond(self.bond.data)
        has_contract = bond is Bond.PROCESSOR
        return Declaring(
            owner=self.owner.data or "",
            country=self.country.data,
            bond=bond,
            contract=(self.contract.data or "") if has_contract else "",
            contract_on=self.contract_on.data if has_contract else None,
            note=self.note.data or "",
        )
