"""How many letters may leave now. The bucket is a row, so a flushed broker refills nothing."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm.delivery.models import Pace
from crm.delivery.rules import brim, refill

RELAY = "relay"


def take(session: Session, wanted: int, *, per_minute: int, at: datetime) -> int:
    """Take up to ``wanted`` letters out of the relay's bucket; return how many there were."""
    session.execute(
        insert(Pace)
        .values(name=RELAY, tokens=brim(per_minute), filled_at=at)
        .on_conflict_do_nothing()
    )
    bucket = session.scalars(
        select(Pace)
        .where(Pace.name == RELAY)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    seconds = (at - bucket.filled_at).total_seconds()
    held = refill(bucket.tokens, seconds=seconds, per_minute=per_minute)
    taken = min(wanted, int(held))
    bucket.tokens, bucket.filled_at = held - taken, at
    return taken
