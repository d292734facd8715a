"""What the clinic's details make of every letter: its brand, and the sender of service letters."""

from crm.clinic.models import Clinic
from crm.config import Settings
from crm.letters.footer import Brand, Language
from crm.mail.message import Envelope

_NEEDED = ("name", "legal_name", "postal_address", "email", "service_email")


def language(lang: str) -> Language:
    """Return a language that we write in; Russian where another one is stored."""
    return "en" if lang == "en" else "ru"


def brand(clinic: Clinic, settings: Settings, *, lang: str = "ru") -> Brand:
    """Return whose letter it is. Raises nothing where details are missing: ask ``missing``."""
    return Brand(
        name=clinic.name,
        operator=clinic.legal_name,
        address=clinic.postal_address,
        public_url=settings.public_url,
        language=language(lang),
    )


def may_write(clinic: Clinic) -> bool:
    """Return whether the details are complete enough for a service letter."""
    return all(getattr(clinic, name) for name in _NEEDED)


def service_envelope(clinic: Clinic) -> Envelope:
    """Return from whom service letters come.

    Not the address of promotion, so that a filter can tell the two apart.
    """
    return Envelope(
        sender_name=clinic.name,
        sender_address=clinic.service_email,
        reply_to=clinic.email,
        bounce_domain=clinic.bounce_domain or None,
    )
