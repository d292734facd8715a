"""What may leave now: paces, quiet hours, rests and caps, as one sender asks for them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from math import inf
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.clinic.service import details
from crm.consent.rules import Purpose, Reason
from crm.delivery import pace, probe
from crm.delivery.frequency import Caps, caps_of, reserve
from crm.delivery.lease import Work
from crm.delivery.pacing_models import ProviderManners
from crm.delivery.quiet import quiet_until
from crm.delivery.rest import resting_domains, rests
from crm.delivery.rules import SENDERS
from crm.delivery.states import DeliveryState, Lane
from crm.delivery.vigil import behind_smart_host
from crm.delivery.window import Recipient, Result

FRESH_S = 1.0
"""How old the clinic's settings may be that a sender goes by."""


@dataclass(slots=True, kw_only=True)
class Allowance:
    """One sender's knowledge of the clinic's choices; ``refresh`` it before asking anything.

    ``now_s`` is monotonic.
    """

    now_s: Callable[[], float]
    relay_host: str = "localhost"
    _hours: tuple[ZoneInfo, time, time] = field(init=False)
    _caps: Caps = field(init=False)
    _waits_for_bounces: bool = field(init=False, default=False)
    _domains: dict[str, datetime] = field(init=False, default_factory=dict)
    _connections: dict[str, int] = field(init=False, default_factory=dict)
    """By provider, this sender's share."""
    _free: set[tuple[str, int]] = field(init=False, default_factory=set)
    """Providers and mailings that nothing limited when last asked."""
    _fresh_until: float = field(init=False, default=0.0)
    rests: Collection[str] = field(init=False, default=())
    """Destinations whose rests are remembered."""

    def refresh(self, session: Session, *, at: datetime) -> None:
        """Read again what is older than a second, in a transaction of its own."""
        if self.now_s() < self._fresh_until:
            return
        clinic = details(session)
        self._hours = ZoneInfo(clinic.zone), clinic.quiet_from, clinic.quiet_until
        self._caps = caps_of(clinic)
        self._waits_for_bounces = behind_smart_host(clinic.smart_host, self.relay_host)
        self._domains = resting_domains(session, at=at)
        self.rests = rests(session).keys()
        self._connections = {
            name: max(1, lines // SENDERS) for name, lines in session.execute(_CONNECTIONS) if lines
        }
        self._free.clear()
        session.commit()
        self._fresh_until = self.now_s() + FRESH_S

    def ask_anew(self) -> None:
        """Forget what nothing limited: something rests now."""
        self._free.clear()

    def is_quiet(self, lane: Lane, *, at: datetime) -> bool:
        """Return whether these are hours in which no promotional letter leaves."""
        zone, begin, end = self._hours
        return lane is Lane.BULK and quiet_until(at, zone, begin=begin, end=end) is not None

    def connections(self, provider: str) -> float:
        """Return how many letters to a provider one sender may have under way; most have no end."""
        return self._connections.get(provider, inf)

    def letters(
        self, session: Session, work: Work, lane: Lane, *, wanted: int, at: datetime
    ) -> int:
        """Take up to ``wanted`` letters out of the buckets; 0 where none may leave now."""
        if self.is_quiet(lane, at=at):
            return 0
        if self._waits_for_bounces and lane is Lane.BULK and not work.is_probed:
            wanted = min(wanted, probe.left(session, work.mailing_id))
        if not wanted or self._is_free(session, work, lane):
            return wanted
        return pace.take(
            session,
            wanted,
            provider=work.provider,
            mailing_id=work.mailing_id,
            lane=lane,
            at=at,
        )

    def barred(
        self,
        session: Session,
        work: Work,
        lane: Lane,
        recipients: Sequence[Recipient],
        *,
        at: datetime,
    ) -> list[Result]:
        """Return the ends of those who get no letter now, and reserve the day of the others.

        A rest holds back campaigns: a service letter knocks all the same, at its own pace.
        """
        heeds_rests = lane is Lane.BULK and self._domains
        resting = self._resting(recipients, at=at) if heeds_rests else {}
        asking = [one.delivery_id for one in recipients if one.delivery_id not in resting]
        capped: set[int] = set()
        if work.purpose is Purpose.MARKETING and not work.uncapped:
            today = at.astimezone(self._hours[0]).date()
            capped = reserve(session, asking, on=today, caps=self._caps)
        if not resting and not capped:
            return []
        return [
            _waiting(one, until=resting[one.delivery_id], at=at)
            if one.delivery_id in resting
            else _capped(one, at=at)
            for one in recipients
            if one.delivery_id in resting or one.delivery_id in capped
        ]

    def _resting(self, recipients: Sequence[Recipient], *, at: datetime) -> dict[int, datetime]:
        """Return until when the letters wait whose domain rests, by delivery."""
        return {
            one.delivery_id: until
            for one in recipients
            if (until := self._domains.get(_domain(one))) is not None and until > at
        }

    def _is_free(self, session: Session, work: Work, lane: Lane) -> bool:
        asked = (work.provider, work.mailing_id)
        if asked not in self._free and not pace.is_limited(
            session, provider=work.provider, mailing_id=work.mailing_id, lane=lane
        ):
            self._free.add(asked)
        return asked in self._free


_CONNECTIONS = select(ProviderManners.name, ProviderManners.connections)


def _waiting(one: Recipient, *, until: datetime, at: datetime) -> Result:
    """Return that the letter waits without a try: its domain rests."""
    return Result(
        delivery_id=one.delivery_id,
        state=DeliveryState.QUEUED,
        at=at,
        tries=one.tries - 1,
        retry_at=until,
    )


def _capped(one: Recipient, *, at: datetime) -> Result:
    return Result(
        delivery_id=one.delivery_id,
        state=DeliveryState.WITHHELD,
        at=at,
        tries=one.tries,
        reason=Reason.FREQUENCY_CAP,
    )


def _domain(one: Recipient) -> str:
    return (one.value or "").rpartition("@")[2]
