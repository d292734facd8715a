"""The archive of texts: what is in force, every version before, and a new one on top."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.consent.kinds import KINDS, LANGUAGES, combined
from crm.consent.models import ConsentText
from crm.consent.texts import publish
from crm.errors import Invalid, NotFound, WrongState, later

NOTHING_NEW = later("Nothing is different from the version in force.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a version says; the label is the sentence beside the box, empty for a policy."""

    label: str
    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A text in one language: all its versions, the newest first."""

    key: str
    lang: str
    versions: Sequence[ConsentText]

    @property
    def current(self) -> ConsentText | None:
        """Return the version in force."""
        newest = next(iter(self.versions), None)
        return newest if newest is not None and newest.retired_at is None else None


def shelf(session: Session) -> list[Row]:
    """Return every text that there may be in every language, published or not."""
    found = session.scalars(select(ConsentText).order_by(ConsentText.version.desc())).all()
    return [
        Row(
            key=key,
            lang=lang,
            versions=[one for one in found if (one.key, one.lang) == (key, lang)],
        )
        for key in KINDS
        for lang in LANGUAGES
    ]


def row(session: Session, key: str, lang: str) -> Row:
    """Return one text with its versions. Raises NotFound where there is no such kind of text."""
    if key not in KINDS or lang not in LANGUAGES:
        raise NotFound("text")
    query = select(ConsentText).where(ConsentText.key == key, ConsentText.lang == lang)
    versions = session.scalars(query.order_by(ConsentText.version.desc())).all()
    return Row(key=key, lang=lang, versions=versions)


def check(row: Row, wording: Wording) -> None:
    """Refuse what may not be published.

    Raises:
        Invalid: one text for two purposes, or nothing new.

    """
    fault = combined(row.key, f"{wording.label} {wording.title}")
    if fault:
        raise Invalid(say=fault)
    now = row.current
    if now is not None and (now.label, now.title, now.body) == (
        wording.label,
        wording.title,
        wording.body,
    ):
        raise Invalid(say=NOTHING_NEW)


def put_in_force(
    session: Session, row: Row, wording: Wording, *, after: int, at: datetime, by: int
) -> ConsentText:
    """Publish the wording in place of version ``after`` (0: none was there).

    Raises:
        Invalid: see ``check``.
        WrongState: somebody has published another version meanwhile.

    """
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('consent_texts'))"))
    query = select(ConsentText.version).where(
        ConsentText.key == row.key, ConsentText.lang == row.lang
    )
    newest = session.scalar(query.order_by(ConsentText.version.desc()).limit(1)) or 0
    if newest != after:
        raise WrongState("text")
    check(row, wording)
    kind = KINDS[row.key]
    made = publish(
        session,
        key=row.key,
        lang=row.lang,
        purpose=kind.purpose,
        channel=kind.channel,
        label=wording.label,
        title=wording.title,
        body=wording.body,
        at=at,
    )
    note(
        session,
        "text.published",
        at=at,
        actor_id=by,
        subject="text",
        subject_id=made.id,
        key=row.key,
        lang=row.lang,
        version=made.version,
    )
    return made
