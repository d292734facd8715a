"""What all senders together have written down of a mailing's first letters.

A sender's own ``vigil`` costs nothing and follows a mailing to its end; but it sees only its part
of the first letters, and one that starts anew has seen nothing. What is stored is asked only when
something was refused.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from crm.delivery.lease import Work
from crm.delivery.vigil import Seen, after_first
from crm.mail.refusal import Refusal


def judge(session: Session, work: Work, *, bounced: int, refused: int) -> str | None:
    """Return why to hold the mailing, or None.

    Args:
        session: in the transaction that has written down these refusals, and counted them.
        work: what is held.
        bounced: of the letters just written down, those whose address does not exist.
        refused: those refused by policy.

    """
    values = {"mailing_id": work.mailing_id, "provider": work.provider, "policy": Refusal.POLICY}
    seen = Seen(*session.execute(_SEEN, values).one())
    return after_first(seen, bounced=bounced, refused=refused)


_SEEN = text("""
    SELECT coalesce(sum(accepted + failed), 0)::int, coalesce(sum(bounced), 0)::int,
        coalesce(sum(accepted + failed) FILTER (WHERE provider = :provider), 0)::int,
        (SELECT coalesce(sum(letters), 0)::int FROM refusal_counts
         WHERE mailing_id = :mailing_id AND provider = :provider AND refusal = :policy)
    FROM leases WHERE mailing_id = :mailing_id
""")
