"""Letters that the journal saw leaving and a restored database knew nothing of."""

from collections.abc import Collection

from sqlalchemy import LargeBinary, exists, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from crm.safekeeping.lines import TOKEN
from crm.safekeeping.models import Handed


def is_marked(session: Session, mailing_id: int) -> bool:
    """Return whether any letter of the mailing is remembered: ask once for each lease."""
    return bool(session.scalar(select(exists().where(Handed.mailing_id == mailing_id))))


def already_handed(session: Session, mailing_id: int, tokens: Collection[bytes]) -> set[bytes]:
    """Return which of these suppression tokens had their letter of this mailing before the restore.

    Give the tokens under every key: the journal may be older than the newest one. Such a letter
    may have arrived, so its delivery is uncertain and is not sent again.
    """
    whole = {token[:TOKEN]: token for token in tokens}
    found = session.scalars(
        select(Handed.token).where(Handed.mailing_id == mailing_id, Handed.token.in_(list(whole)))
    )
    return {whole[bytes(token)] for token in found}


def remember(session: Session, mailing_id: int, tokens: list[bytes]) -> int:
    """Remember letters of the mailing; return how many were new."""
    rows = select(literal(mailing_id), func.unnest(literal(tokens, ARRAY(LargeBinary))))
    added = session.scalars(
        insert(Handed)
        .from_select(["mailing_id", "token"], rows)
        .on_conflict_do_nothing()
        .returning(Handed.mailing_id)
    )
    return len(added.all())
