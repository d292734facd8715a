"""What may leave now: paces, quiet hours, rests and caps, as one sender asks for them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from crm.clinic.models import Clinic
from crm.clinic.service import details
from crm.consent.rules import Purpose, Reason
from crm.delivery import pace
from crm.delivery.frequency import caps_of, reserve
from crm.delivery.lease import Work
from crm.delivery.quiet import quiet_until
from crm.delivery.rest import resting_domains, rests
from crm.delivery.states import DeliveryState, Lane
from crm.delivery.window import Recipient, Result

FRESH_S = 1.0
"""How old the clinic's settings may be that a sender goes by."""


@dataclass(slots=True, kw_only=True)
class Allowance:
    """One sender's knowledge of the clinic's choices. ``now_s`` is monotonic."""

    now_s: Callable[[], float]
    _clinic: Clinic | None = field(init=False, default=None)
    _domains: dict[str, datetime] = field(init=False, default_factory=dict)
    _free: set[tuple[str, int]] = field(init=False, default_factory=set)
    """Providers and mailings that nothing limited when last asked."""
    _rests: Collection[str] = field(init=False, default=())
    _fresh_until: float = field(init=False, default=0.0)

    def is_quiet(self, session: Session, lane: Lane, *, at: datetime) -> bool:
        """Return whether these are hours in which no promotional letter leaves."""
        if lane is Lane.SERVICE:
            return False
        clinic = self._settings(session, at=at)
        hours = {"begin": clinic.quiet_from, "end": clinic.quiet_until}
        return quiet_until(at, ZoneInfo(clinic.zone), **hours) is not None

    def rests(self, session: Session, *, at: datetime) -> Collection[str]:
        """Return the destinations whose rests are remembered."""
        self._settings(session, at=at)
        return self._rests

    def letters(
        self, session: Session, work: Work, lane: Lane, *, wanted: int, at: datetime
    ) -> int:
        """Take up to ``wanted`` letters out of the buckets; 0 where none may leave now."""
        if self.is_quiet(session, lane, at=at):
            return 0
        self._settings(session, at=at)
        asked = (work.provider, work.mailing_id)
        if asked not in self._free and not pace.is_limited(
            session, provider=work.provider, mailing_id=work.mailing_id, lane=lane
        ):
            self._free.add(asked)
        if asked in self._free:
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
        self, session: Session, work: Work, recipients: Sequence[Recipient], *, at: datetime
    ) -> list[Result]:
        """Return the ends of those who get no letter now, and reserve the day of the others."""
        resting = {
            one.delivery_id: until
            for one in recipients
            if (until := self._domains.get(_domain(one))) is not None and until > at
        }
        waiting = [
            Result(
                delivery_id=one.delivery_id,
                state=DeliveryState.QUEUED,
                at=at,
                tries=one.tries - 1,
                retry_at=resting[one.delivery_id],
            )
            for one in recipients
            if one.delivery_id in resting
        ]
        if work.purpose is not Purpose.MARKETING or work.uncapped:
            return waiting
        clinic = self._settings(session, at=at)
        today = at.astimezone(ZoneInfo(clinic.zone)).date()
        asking = [one.delivery_id for one in recipients if one.delivery_id not in resting]
        capped = reserve(session, asking, on=today, caps=caps_of(clinic))
        return waiting + [
            Result(
                delivery_id=one.delivery_id,
                state=DeliveryState.WITHHELD,
                at=at,
                tries=one.tries,
                reason=Reason.FREQUENCY_CAP,
            )
            for one in recipients
            if one.delivery_id in capped
        ]

    def _settings(self, session: Session, *, at: datetime) -> Clinic:
        if self._clinic is None or self.now_s() >= self._fresh_until:
            session.expire_all()
            self._clinic = details(session)
            session.expunge(self._clinic)
            self._domains = resting_domains(session, at=at)
            self._rests = rests(session).keys()
            self._free.clear()
            self._fresh_until = self.now_s() + FRESH_S
        return self._clinic


def _domain(one: Recipient) -> str:
    return (one.value or "").rpartition("@")[2]
