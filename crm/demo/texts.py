"""The policy and the consents of the demo clinic, Russian and English, with their history.

Written after the policy the product was made for, without what the law has overtaken in it: a
consent is a document of its own for one purpose (152-FZ art. 9(1)), it has a term (art. 5(7)) and
a way back (art. 9(2)), and advertising is asked for separately and in advance (art. 15; 38-FZ
art. 18). Whoever puts them on a real site has them read by a lawyer first.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from crm.clinic.models import Clinic
from crm.consent.models import ConsentText
from crm.consent.rules import Channel, Purpose
from crm.consent.texts import publish

OPENED: Final = timedelta(days=760)
"""How long ago the first versions came into force."""
RENEWED: Final = timedelta(days=520)
"""How long ago the consent to advertising got its longer term."""
FIRST_TERM_MONTHS: Final = 18
LANGUAGES: Final = ("ru", "en")
_WORDING: Final = Path(__file__).with_name("wording")
"""A file a text: its title, the sentence beside the box, the body with ``{names}`` to fill in."""


@dataclass(slots=True)
class Texts:
    """Every version that was published."""

    versions: list[ConsentText] = field(default_factory=list)

    def at(self, key: str, lang: str, moment: datetime) -> ConsentText:
        """Return the version that a page showed at ``moment``. Raises StopIteration."""
        return next(
            one
            for one in self.versions
            if (one.key, one.lang) == (key, lang)
            and one.valid_from <= moment
            and (one.retired_at is None or moment < one.retired_at)
        )


def publish_all(session: Session, clinic: Clinic, *, months: int, at: datetime) -> Texts:
    """Publish every text as it was two years ago, and the newer versions after it."""
    texts = Texts()
    opened, renewed = at - OPENED, at - RENEWED
    for lang in LANGUAGES:
        texts.versions += [
            _publish(session, "policy", lang, clinic, months=months, at=opened),
            _publish(session, "processing", lang, clinic, months=months, at=opened),
            _publish(
                session,
                "marketing_email",
                lang,
                clinic,
                months=FIRST_TERM_MONTHS,
                at=opened,
            ),
            _publish(session, "marketing_email", lang, clinic, months=months, at=renewed),
        ]
    session.flush()
    for text in texts.versions:
        session.refresh(text)
    return texts


_PURPOSES: Final = {"processing": Purpose.SERVICE, "marketing_email": Purpose.MARKETING}


def _publish(
    session: Session,
    key: str,
    lang: str,
    clinic: Clinic,
    *,
    months: int,
    at: datetime,
) -> ConsentText:
    title, label, body = (_WORDING / f"{key}.{lang}.txt").read_text(encoding="utf-8").split("\n", 2)
    purpose = _PURPOSES.get(key)
    words = {
        "operator": clinic.legal_name,
        "name": clinic.name,
        "inn": clinic.inn,
        "ogrn": clinic.ogrn,
        "address": clinic.postal_address,
        "email": clinic.email,
        "phone": clinic.phone,
        "site": clinic.site_url,
        "dpo": clinic.dpo_name,
        "months": months,
    }
    return publish(
        session,
        key=key,
        lang=lang,
        purpose=purpose,
        channel=Channel.EMAIL if purpose else None,
        label=label,
        title=title,
        body=body.format_map(words).strip(),
        at=at,
    )
