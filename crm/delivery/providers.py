"""The providers' manners as staff keep them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.delivery.pacing_models import ProviderManners
from crm.delivery.warming import START_PER_HOUR
from crm.errors import NotFound, later

NAMES: Final = {
    "gmail": later("Gmail"),
    "mailru": later("Mail.ru"),
    "yandex": later("Yandex"),
    "microsoft": later("Microsoft"),
    "other": later("Others"),
}
"""Of every provider, to be translated at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person may choose for a provider."""

    target_per_hour: int
    connections: int
    warm_up: bool


def manners(session: Session) -> Sequence[ProviderManners]:
    """Return those of all providers that have any, in the order of NAMES."""
    order = list(NAMES)
    found = session.scalars(select(ProviderManners)).all()
    return sorted(found, key=lambda one: order.index(one.name))


def change(
    session: Session,
    provider: str,
    wish: Wish,
    *,
    at: datetime,
    by: int,
) -> bool:
    """Set a provider's manners; return whether anything is different now.

    A warm-up that is switched on begins at its beginning. Raises NotFound.
    """
    known = session.get(ProviderManners, provider)
    if known is None:
        raise NotFound(f"provider {provider}")
    different = {
        name: value for name, value in asdict(wish).items() if getattr(known, name) != value
    }
    if not different:
        return False
    if different.get("warm_up"):
        known.per_hour, known.warmed_on = START_PER_HOUR, at.date()
    for name, value in different.items():
        setattr(known, name, value)
    note(session, "pace.changed", at=at, actor_id=by, provider=provider)
    session.flush()
    return True
