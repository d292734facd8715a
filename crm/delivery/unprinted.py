"""What becomes of letters that cannot be printed at all: a text, a key or a file is broken."""

from datetime import datetime

from sqlalchemy.orm import Session

from crm.delivery import lease, refusals, service, window
from crm.delivery.lease import Work
from crm.delivery.rules import after_trouble
from crm.delivery.states import Lane
from crm.delivery.window import Recipient, Result
from crm.errors import later
from crm.mail.refusal import Refusal

UNPRINTABLE = later(
    "The letter cannot be printed or signed. Tell the administrator; the server’s log says why."
)


def set_aside(session: Session, work: Work, lane: Lane, *, at: datetime) -> None:
    """End a lease of such letters: a campaign waits for a person, a service letter for a while.

    Raises:
        Fenced: the lease is dead, and nothing was written.

    """
    if lane is Lane.BULK:
        service.hold(session, work.mailing_id, UNPRINTABLE)
    else:
        _put_off(session, work, at=at)
    lease.give_back(session, work.fence)


def _put_off(session: Session, work: Work, *, at: datetime) -> None:
    """Write down a try that failed, as that of any letter: taken, and then refused by ourselves."""
    window.write(session, work, [], closed=[])
    taken = window.intend(session, work, limit=work.letters, at=at)
    results = [_after(one, at=at) for one in taken]
    window.write(session, work, results, closed={one.window_id for one in taken})
    window.put_back(session, work, Lane.SERVICE, results)
    refused, replies = {Refusal.OUR_FAULT: len(taken)}, {Refusal.OUR_FAULT: UNPRINTABLE}
    refusals.count(session, work.mailing_id, work.provider, refused, replies=replies, at=at)


def _after(one: Recipient, *, at: datetime) -> Result:
    follows = after_trouble(one.tries, at=at)
    return Result(
        delivery_id=one.delivery_id,
        state=follows.state,
        at=at,
        tries=one.tries,
        retry_at=follows.retry_at,
        refusal=Refusal.OUR_FAULT.value,
        reply=UNPRINTABLE,
    )
