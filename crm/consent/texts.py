"""Publishing consent and policy texts: versions that are retired, never edited."""

import hashlib
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from crm.consent.models import ConsentText
from crm.consent.rules import Channel, Purpose


def publish(
    session: Session,
    *,
    key: str,
    lang: str,
    purpose: Purpose | None,
    channel: Channel | None,
    label: str,
    title: str,
    body: str,
    at: datetime,
) -> ConsentText:
    """Put a new version of a text in force at ``at`` and retire the one before it."""
    before = session.scalar(
        select(func.max(ConsentText.version)).where(
            ConsentText.key == key, ConsentText.lang == lang
        )
    )
    session.execute(
        update(ConsentText)
        .where(ConsentText.key == key, ConsentText.lang == lang, ConsentText.retired_at.is_(None))
        .values(retired_at=at)
    )
    text = ConsentText(
        key=key,
        lang=lang,
        version=(before or 0) + 1,
        purpose=purpose,
        channel=channel,
        label=label,
        title=title,
        body=body,
        sha256=digest(label, title, body),
        valid_from=at,
    )
    session.add(text)
    session.flush()
    return text


def digest(label: str, title: str, body: str) -> str:
    """Return the hex SHA-256 that evidence refers to: of exactly what is shown."""
    return hashlib.sha256("\0".join((label, title, body)).encode()).hexdigest()
