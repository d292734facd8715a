"""Senders in one thread, which take turns wherever a process may be interrupted.

The engine is the real one, sessions and all; a fleet without a wire lets the test decide what
becomes of each letter. A sender stops at each transaction's beginning and end, before each dot and
at each turn of its fleet, and goes on when the test lets it: that is where it is frozen or killed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, cast

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.db import engine_of_a_sender
from crm.delivery.crossing import Crossing
from crm.delivery.dispatch import Sender
from crm.delivery.mishaps import Memory
from crm.delivery.states import Lane
from crm.mail.smtp import Fleet, Kind, Letter, Relay, Stage, Verdict
from crm.straight import is_silent

SIZE = 3
"""Lines of a fleet."""
MOST_STEPS = 40
"""A sender behind somebody's lock tries again and again."""
LOCK_MS = 15
"""How long anybody waits for a lock: who holds it goes on only after that."""


class Fate(Enum):
    """What befalls a sender where it has stopped."""

    GOES_ON = auto()
    UNHEARD = auto()
    """What it does next happens, and if it is a commit, its answer is lost."""
    CUT = auto()
    """Its connection is cut before it does the next thing."""


class Where(Enum):
    """Where a sender has stopped."""

    IN_A_TRANSACTION = auto()
    AT_A_DOT = auto()
    """Inside the gate."""
    AT_THE_FLEET = auto()
    IDLE = auto()


def pause(where: Where = Where.IN_A_TRANSACTION) -> Fate:
    """Let the test go on; return what it decides."""
    parent = getcurrent().parent
    fate: Fate = parent.switch(where) if parent else Fate.GOES_ON
    return fate


def is_silent_after_a_pause(session: Session) -> Callable[[], bool]:
    """As ``straight.is_silent``: the gate is asked for right before each dot, once it goes on."""
    stands = is_silent(session)

    def stands_after_a_pause() -> bool:
        pause(Where.AT_A_DOT)
        return stands()

    return stands_after_a_pause


class Interrupted(Session):
    """A session that stops before it begins and ends a transaction."""

    def connection(self, *arguments: Any, **named: Any) -> Connection:
        fate = pause()
        link = super().connection(*arguments, **named)
        if fate is Fate.CUT:
            link.invalidate()
            raise _away()
        return link

    def commit(self) -> None:
        fate = pause()
        if fate is Fate.CUT:
            super().invalidate()
            raise _away()
        super().commit()
        if fate is Fate.UNHEARD:
            raise _away()

    def rollback(self) -> None:
        super().rollback()
        pause()


def _away() -> OperationalError:
    return OperationalError(None, None, ConnectionError("cut by the test"))


@dataclass(slots=True)
class Dot:
    """A dot that was written, and the answer if it came."""

    answer: Verdict | None = None

    @property
    def may_have_arrived(self) -> bool:
        return self.answer is None or self.answer.kind in (Kind.ACCEPTED, Kind.UNCERTAIN)


@dataclass(eq=False, slots=True)
class Harbour:
    """A fleet whose letters get on as the test tells them to; see ``Fleet`` for the rest."""

    dotted_now: Callable[[int], Dot]
    """Told before each dot is written."""
    away: bool = False
    is_deaf: bool = False
    """Lines break at the next dot."""
    eight_bit: bool = True
    waiting: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    dotted: dict[int, Dot] = field(default_factory=dict)
    has_moved: bool = False
    _ended: list[tuple[int, Verdict]] = field(default_factory=list)

    @property
    def room(self) -> int:
        return max(0, SIZE - len(self.waiting))

    @property
    def outstanding(self) -> int:
        return len(self.waiting) + len(self.ready) + len(self.dotted) + len(self._ended)

    def hand_in(self, key: int, _letter: Letter) -> None:
        assert self.room, "a letter too many"
        assert not self._has(key), "a letter of this key is aboard"
        self.waiting.append(key)

    def turn(self, *, wait_s: float) -> bool:
        pause(Where.AT_THE_FLEET)
        if self.away:
            for key in list(self.waiting):
                self.refuse(key, lost_before())
        has_moved, self.has_moved = self.has_moved, False
        return has_moved

    def dot(self, key: int) -> bool:
        if key not in self.ready:
            return False
        self.ready.remove(key)
        if self.is_deaf:
            self.is_deaf = False
            self._ended.append((key, lost_before()))
            return False
        self.dotted[key] = self.dotted_now(key)
        return True

    def drop(self, key: int) -> None:
        for place in (self.waiting, self.ready):
            if key in place:
                place.remove(key)
        if key in self.dotted:
            self.answer(key, lost_after())

    def ended(self) -> list[tuple[int, Verdict]]:
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        for key in self.waiting + self.ready:
            self.refuse(key, lost_before())
        for key in list(self.dotted):
            self.answer(key, lost_after())

    # --- what the test does ---

    def arrive(self) -> None:
        """Let the bodies arrive: of all letters that have a line."""
        lines = SIZE - len(self.ready)
        self.ready += self.waiting[:lines]
        del self.waiting[:lines]
        self.has_moved = True

    def answer(self, key: int, verdict: Verdict) -> None:
        """Answer a dot."""
        dot = self.dotted.pop(key)
        dot.answer = verdict
        self._ended.append((key, verdict))
        self.has_moved = True

    def refuse(self, key: int, verdict: Verdict) -> None:
        """Answer before the dot."""
        (self.waiting if key in self.waiting else self.ready).remove(key)
        self._ended.append((key, verdict))
        self.has_moved = True

    def _has(self, key: int) -> bool:
        return key in self.waiting or key in self.ready or key in self.dotted


def lost_before() -> Verdict:
    return Verdict(Kind.NOT_HANDED_OVER, None, None, "The line was lost.", True, Stage.DATA)


def lost_after() -> Verdict:
    return Verdict(Kind.UNCERTAIN, None, None, "The line was lost.", False, Stage.DOT)


class Process:
    """One sender that goes on only while the test lets it."""

    def __init__(
        self,
        settings: Settings,
        relay: Relay,
        *,
        lane: Lane,
        now: Callable[[], datetime],
        dotted_now: Callable[[int], Dot],
    ) -> None:
        self._engine = engine_of_a_sender(settings.database_url)
        event.listen(self._engine, "connect", wait_for_no_lock)
        self._session = Interrupted(self._engine)
        self._relay = relay
        self._dotted_now = dotted_now
        self._orders: list[str] = []
        self._sender = Sender(
            session=self._session,
            settings=settings,
            lane=lane,
            now=now,
            stopping=self._stopping,
            size=SIZE,
        )
        self._sender.choice.now_s = self._sender.allowance.now_s = lambda: now().timestamp()
        self._sender.memory = Memory(now=now, now_s=self._sender.choice.now_s)
        self._life = greenlet(self._run)
        self.harbour = Harbour(dotted_now)

    @property
    def is_alive(self) -> bool:
        return not self._life.dead

    def step(self, fate: Fate = Fate.GOES_ON) -> Where:
        """Let it go on to where it stops next."""
        where = self._life.switch(fate) if self.is_alive else None
        return where or Where.IDLE

    def sail(self) -> None:
        """Let it go on until it waits for its fleet, or for work."""
        self._go_on_to(Where.AT_THE_FLEET, Where.IDLE)

    def sail_into_the_gate(self) -> None:
        """Let it go on until it is about to write a dot, or has nothing to do."""
        self._go_on_to(Where.AT_A_DOT, Where.IDLE)

    def _go_on_to(self, *places: Where) -> None:
        for _ in range(MOST_STEPS):
            if self.step() in places:
                return

    def tell_to_end(self) -> None:
        self._orders.append("end")

    def kill(self) -> None:
        """End it where it stands: its connections to PostgreSQL and to the relay are cut."""
        if self.is_alive:
            self._life.throw()
        self._session.invalidate()
        self._engine.dispose()

    def _run(self, _fate: Fate) -> None:
        while not self._stopping():
            self._board()
            try:
                has_worked = self._sender.work()
            except DBAPIError:
                if self._stopping():
                    return
                raise
            if not has_worked:
                pause(Where.IDLE)
        self._sender.close()

    def _stopping(self) -> bool:
        return bool(self._orders)

    def _board(self) -> None:
        sender = self._sender
        if sender.crossing is None:
            self.harbour = Harbour(self._dotted_now)
            fleet = cast("Fleet[int]", self.harbour)
            sender.crossing = Crossing(
                session=self._session, fleet=fleet, size=SIZE, now=sender.now
            )
            sender.relay = self._relay


def wait_for_no_lock(connection: Any, _record: object) -> None:
    connection.execute(f"SET lock_timeout = {LOCK_MS}")
    connection.commit()
