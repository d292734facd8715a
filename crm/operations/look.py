"""One look at everything that sending needs: what page and metrics are made of."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from crm.audit.models import Log
from crm.clinic.service import details
from crm.config import Settings
from crm.delivery import mishaps, refusals, rest
from crm.delivery.mishaps import Told
from crm.delivery.pacing_models import Pace
from crm.delivery.states import Lane, MailingState
from crm.desk.today import midnight
from crm.operations import alive, ledgers, letters, queues, stop_gap
from crm.operations.ledgers import Backlog
from crm.operations.letters import LaneFigures
from crm.operations.models import Worker
from crm.operations.stop_gap import Gap
from crm.relays import service as relays
from crm.relays.absence import absences
from crm.relays.models import RelayAbsence
from crm.relays.service import Standing
from crm.safekeeping import installation, journal
from crm.safekeeping.rules import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything at one moment."""

    at: datetime
    hold: Hold | None
    trouble: str | None
    """The sentence for staff where the journal keeps letters from leaving."""
    free_bytes: int | None
    """On the journal's disk."""
    relays: list[Standing] | None
    """None: SMTP_URL cannot be read."""
    away: list[RelayAbsence]
    """Those of them that may be given letters and do not answer, the preferred first."""
    queues: dict[str, int] | None
    """None: the broker does not answer."""
    is_full: bool
    """The broker takes no message for want of memory."""
    workers: Sequence[Worker]
    lanes: dict[Lane, LaneFigures]
    mailings: dict[MailingState, int]
    resting: list[Pace]
    about_us: int
    """Refusals since yesterday (UTC) that tell something of us and nothing of a person."""
    mishaps: list[Told]
    """What was overcome by itself within a day."""
    gap_today: Gap
    gap_long: Gap
    unjournalled: Backlog
    unsealed: dict[Log, Backlog]

    @property
    def alive(self) -> dict[str, list[Worker]]:
        """Return the living processes of each kind."""
        living = [one for one in self.workers if alive.is_alive(one, at=self.at)]
        return {kind: [one for one in living if one.kind == kind] for kind in alive.KINDS}

    @property
    def silent_since(self) -> dict[str, datetime]:
        """Return when each kind was heard last of which no process is alive; none: never."""
        living = self.alive
        return {one.kind: one.beat_at for one in reversed(self.workers) if not living.get(one.kind)}

    @property
    def free_gb(self) -> float:
        """Return the gigabytes that are free on the journal's disk."""
        return (self.free_bytes or 0) / 1e9

    @property
    def usable(self) -> int:
        """Return how many relays may be given letters."""
        return sum(one.refusal is None for one in self.relays or ())

    @property
    def rests(self) -> Counter[str]:
        """Return how many rest: ``relay``, ``provider``, ``domain``."""
        return Counter(one.name.partition(":")[0] for one in self.resting)


def look(session: Session, settings: Settings, *, at: datetime) -> Look:
    """Look once. The number of statements does not depend on what is found."""
    today = midnight(details(session).zone, at=at)
    standings = relays_of(session, settings)
    return Look(
        at=at,
        hold=installation.verdict(session, settings, at=at),
        trouble=journal.of(settings).trouble(),
        free_bytes=_free(settings),
        relays=standings,
        away=away_of(session, standings or (), at=at),
        queues=queues.waiting(settings.redis_url),
        is_full=queues.is_full(settings.redis_url),
        workers=alive.known(session),
        lanes=letters.lanes(session, today=today, at=at),
        mailings=letters.mailings(session),
        resting=rest.resting(session, at=at),
        about_us=refusals.about_us_since(session, (at - timedelta(days=1)).date()),
        mishaps=mishaps.told(session, at=at),
        gap_today=stop_gap.gap(session, since=today),
        gap_long=stop_gap.long_gap(session, at=at),
        unjournalled=ledgers.unjournalled(session),
        unsealed=ledgers.unsealed(session),
    )


def relays_of(session: Session, settings: Settings) -> list[Standing] | None:
    """Return the relays of SMTP_URL; None where it cannot be read."""
    try:
        return relays.standings(session, settings)
    except ValueError:
        return None


def away_of(session: Session, standings: Sequence[Standing], *, at: datetime) -> list[RelayAbsence]:
    """Return the absences of the relays that may be given letters."""
    known = absences(session, at=at)
    usable = [one.name for one in standings if one.refusal is None]
    return [known[name] for name in usable if name in known]


def _free(settings: Settings) -> int | None:
    try:
        disk = os.statvfs(settings.state_dir)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
