"""A mailing's own speed, which staff may change while it runs."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.delivery.models import Mailing
from crm.delivery.states import MailingState
from crm.errors import WrongState


def change_speed(session: Session, mailing: Mailing, per_minute: int | None) -> int | None:
    """Let the mailing go at most so fast; return how fast it might go before. None: no limit.

    The next grant goes by it. A sender that is taking letters at this moment goes by the old speed
    once more, and is not waited for: it may itself be about to hold this mailing.

    Raises:
        WrongState: it has ended.

    """
    session.refresh(mailing, with_for_update={"key_share": True})
    if mailing.state in (MailingState.STOPPED, MailingState.FINISHED):
        raise WrongState(f"mailing {mailing.id} is {mailing.state}")
    before, mailing.per_minute = mailing.per_minute, per_minute
    session.execute(_REFIT, {"name": f"mailing:{mailing.id}", "per_minute": per_minute})
    return before


_REFIT = text("""
    UPDATE paces SET per_minute = :per_minute
    WHERE name IN (SELECT name FROM paces WHERE name = :name FOR UPDATE SKIP LOCKED)
""")
"""Else a bucket emptied at a slow speed would seem dry to ``pace.DRY`` until it filled at that."""
