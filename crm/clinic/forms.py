"""What may be typed about the clinic."""

from datetime import time
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, EmailField, SelectField, StringField, URLField
from wtforms.validators import StopValidation
from wtforms.widgets import NumberInput, TimeInput

from crm.clinic.rules import read_inn, read_ogrn, read_phone_as_shown, read_site
from crm.errors import Invalid, later
from crm.mail.addresses import Domains, read_email
from crm.web.reading import Form, Read, line, maybe_line, options, whole

RUSSIA = (
    "Europe/Kaliningrad",
    "Europe/Moscow",
    "Europe/Samara",
    "Asia/Yekaterinburg",
    "Asia/Omsk",
    "Asia/Krasnoyarsk",
    "Asia/Irkutsk",
    "Asia/Yakutsk",
    "Asia/Vladivostok",
    "Asia/Magadan",
    "Asia/Kamchatka",
)
FASTEST = 1_000_000
MOST_DAYS = 31
LONGEST_TERM = 120
NOT_A_TIME = later("This is not a time. Write it as 21:00.")
SAME_SENDER = _(
    "Promotion and service letters need different senders: whoever filters one away "
    "must still get the other."
)
SMART_HOST: dict[object, bool | None] = {
    "": None,
    "yes": True,
    "no": False,
    True: True,
    False: False,
}
"""What is chosen, and what is stored already."""


def _email(typed: str) -> str:
    return read_email(typed, domains=Domains.WITH_TEST).value if typed.strip() else ""


def _mail_domain(typed: str) -> str:
    domain = typed.strip().rstrip(".")
    return _email(f"b@{domain}").rpartition("@")[2] if domain else ""


def _site(typed: str) -> str:
    return maybe_line(200)(read_site(typed))


def _hour(typed: str) -> time:
    try:
        found = time.fromisoformat(typed.strip())
    except ValueError as error:
        raise Invalid(say=NOT_A_TIME) from error
    if found.tzinfo is not None:
        raise Invalid(say=NOT_A_TIME)
    return found.replace(second=0, microsecond=0)


def _smart_host(chosen: object) -> bool | None:
    if chosen not in SMART_HOST:
        raise ValueError(chosen)
    return SMART_HOST[chosen]


@cache
def zones() -> tuple[str, ...]:
    """Return the names of time zones, those of Russia first."""
    others = sorted(name for name in available_timezones() if "/" in name and name not in RUSSIA)
    return (*RUSSIA, *(name for name in others if not name.startswith(("Etc/", "SystemV/"))))


class Hour(StringField):
    """A native time input; its data is a time once it has been read."""

    widget = TimeInput()
    data: Any

    def _value(self) -> str:
        return self.data.strftime("%H:%M") if isinstance(self.data, time) else self.data or ""


class Number(StringField):
    """A native number input; its data is an int once it has been read."""

    data: Any

    def _value(self) -> str:
        return "" if self.data is None else str(self.data)


class ClinicForm(Form):
    """All details. What is empty is told on the page as missing, and may be saved all the same."""

    name = StringField(
        _("Name of the clinic"),
        [Read(line(120))],
        description=_("As people know it: on pages, in letters’ From and in their footers."),
    )
    legal_name = StringField(_("Legal name"), [Read(maybe_line(200))])
    inn = StringField(_("INN"), [Read(read_inn)])
    ogrn = StringField(_("OGRN"), [Read(read_ogrn)])
    postal_address = StringField(_("Postal address"), [Read(maybe_line(300))])
    phone = StringField(_("Phone"), [Read(read_phone_as_shown)])
    email = EmailField(
        _("Mailbox for people"),
        [Read(_email)],
        description=_("The policy names it; people write here to refuse and to withdraw."),
    )
    site_url = URLField(_("Site"), [Read(_site)])
    dpo_name = StringField(_("Person in charge of personal data"), [Read(maybe_line(120))])
    news_email = EmailField(_("Sender of promotional letters"), [Read(_email)])
    service_email = EmailField(_("Sender of service letters"), [Read(_email)])
    bounce_domain = StringField(
        _("Domain for bounces"),
        [Read(_mail_domain)],
        description=_(
            "Such as bounce.clinic.example, whose mailbox takes b+…@ of any kind. "
            "While it is empty, bounces go to the sender’s address."
        ),
    )
    zone = SelectField(_("Time zone"), choices=options((name, name) for name in zones()))
    quiet_from = Hour(_("Quiet hours from"), [Read(_hour)])
    quiet_until = Hour(_("Quiet hours until"), [Read(_hour)])
    letters_per_minute = Number(
        _("Letters a minute, at most"),
        [Read(whole(0, FASTEST))],
        description=_("As many as the relay takes; 0: no limit."),
        widget=NumberInput(min=0, max=FASTEST),
    )
    smart_host = SelectField(
        _("The relay takes every letter and tells later, by letter, whom it could not reach"),
        coerce=_smart_host,
        choices=options(
            [
                ("", _("Yes, unless it stands on this machine")),
                ("yes", _("Yes")),
                ("no", _("No")),
            ]
        ),
        description=_("Then a campaign waits 15 minutes after its first 200 letters."),
    )
    one_a_day = BooleanField(
        _("One promotional letter a day to a person, at most"),
        description=_("Whoever has two addresses gets one letter; a family with one mailbox, too."),
    )
    cap_per_month = Number(
        _("Days in a month with a promotional letter, at most"),
        [Read(whole(0, MOST_DAYS))],
        description=_("Of any 30 days, to one person and to one address; 0: no such limit."),
        widget=NumberInput(min=0, max=MOST_DAYS),
    )
    consent_months = Number(
        _("Term of a consent to promotion, months"),
        [Read(whole(1, LONGEST_TERM))],
        description=_("The consent text must state the same term."),
        widget=NumberInput(min=1, max=LONGEST_TERM),
    )

    def validate_service_email(self, field: EmailField) -> None:
        """Refuse one sender for both kinds of letters."""
        if field.data and field.data == self.news_email.data:
            raise StopValidation(gettext(str(SAME_SENDER)))
