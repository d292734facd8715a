"""The clinic nobody has to look for: invented down to its tax number."""

from datetime import UTC, datetime, time, timedelta, timezone
from typing import Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from crm.clinic.models import Clinic
from crm.clinic.service import details
from crm.delivery.pacing_models import ProviderManners

DETAILS: Final = {
    "name": "Клиника «Невская ветвь»",
    "legal_name": "ООО «Невская ветвь»",
    "inn": "7899012340",
    "ogrn": "1237800901238",
    "postal_address": "199900, Санкт-Петербург, Липовая набережная, д. 12, лит. А",
    "phone": "+7 812 000-12-12",
    "email": "info@clinic.example",
    "site_url": "https://clinic.example",
    "dpo_name": "Вера Львовна Одинцова",
    "news_email": "news@clinic.example",
    "service_email": "priem@clinic.example",
}
"""The check digits of the tax numbers are right, so that no form refuses them; the numbers are of
nobody, and so are the telephone and the street."""
PLACE: Final = "Липовая набережная, 12, вход со двора"
PER_MINUTE: Final = 300
TERM_MONTHS: Final = 36
_THERE: Final = timezone(timedelta(hours=3))
"""All year."""


def open_clinic(session: Session) -> Clinic:
    """Fill in the clinic's details."""
    clinic = details(session)
    for name, value in DETAILS.items():
        setattr(clinic, name, value)
    clinic.zone = "Europe/Moscow"
    clinic.letters_per_minute = PER_MINUTE
    _leave_at_once(session, clinic)
    clinic.consent_months = TERM_MONTHS
    session.flush()
    return clinic


def _leave_at_once(session: Session, clinic: Clinic) -> None:
    """Let a campaign of whoever tries the demo leave at any hour, and the next one after it."""
    clinic.quiet_from = clinic.quiet_until = time(0)
    clinic.one_a_day, clinic.cap_per_month = False, 0
    session.execute(update(ProviderManners).values(warm_up=False, target_per_hour=0))


def morning(day: datetime, hour: int, minute: int = 0) -> datetime:
    """Return when clocks in Saint Petersburg show this, on the day that ``day`` is there."""
    there = day.astimezone(_THERE).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return there.astimezone(UTC)
