"""What mail providers have against a mailing, in a sentence for each."""

from typing import Final

from flask_babel import gettext

from crm.db import session
from crm.delivery.providers import NAMES
from crm.delivery.refusals import AboutUs, about_us
from crm.errors import later
from crm.mail.refusal import Refusal
from crm.web.filters import thousands

SAY: Final = {
    Refusal.POLICY: later(
        "%(provider)s: refused as unwanted or unproven, %(count)s so far, the last with "
        "“%(reply)s”. Ask the administrator to look at SPF, DKIM and DMARC with “crm doctor”, and "
        "see whether all these people asked for the letter."
    ),
    Refusal.OUR_FAULT: later(
        "%(provider)s: refused by a fault of ours, %(count)s so far, the last with “%(reply)s”. "
        "Show this to the administrator: the sender’s address, the sign-in at the mail relay or "
        "the letter itself must be put right."
    ),
}
"""Of each kind in ``manners.ABOUT_US``."""


def sentences(mailing_id: int) -> list[str]:
    """Return what the mailing's page says of refusals that are about us."""
    return [_sentence(one) for one in about_us(session(), mailing_id)]


def _sentence(one: AboutUs) -> str:
    values = {
        "provider": gettext(NAMES[one.provider]),
        "count": thousands(one.letters),
        "reply": (one.reply or "—").removesuffix("."),
    }
    return str(gettext(SAY[one.refusal], **values))
