"""Chance drives the engine: whatever is interleaved, nothing is doubled, lost or sent after a stop.

Several senders take turns in one thread (``interleaved``), and between any two of their steps
somebody opts out, stops, pauses, launches, buries a lease, cuts a connection or kills a process.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as bounds
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.consent import gate
from crm.consent import service as consent
from crm.consent.ledger import Origin
from crm.consent.rules import Act
from crm.contacts.models import Address
from crm.db import Base
from crm.delivery import books, close, dispatch, insist, recover, service, voyage
from crm.delivery.models import Delivery, Mailing, Outcome, Window
from crm.delivery.states import DeliveryState, Lane, MailingState
from crm.mail.smtp import Kind, Relay, Stage, Verdict
from crm.safekeeping import journal
from tests.delivery.interleaved import (
    Dot,
    Fate,
    Harbour,
    Process,
    lost_after,
    lost_before,
    wait_for_no_lock,
)
from tests.factories import (
    ENVELOPE,
    KEYS,
    NOON,
    a_clinic,
    a_promotion,
    a_running_mailing,
    an_event,
    many_willing_contacts,
)

PEOPLE = 12
MAILINGS = 3
REMINDERS = 3
PROCESSES = 3


class Sea(Enum):
    """What happens to a sender's letters before it takes its next step."""

    STEP = "nothing, and it goes as far as to its next statement only"
    FAIR = "bodies arrive and dots are accepted"
    ARRIVE = "bodies arrive"
    ACCEPT = "dots are accepted"
    GREYLIST = "a dot is answered 451"
    TIRED = "a dot is answered 421"
    NOBODY = "a dot is answered 550 5.1.1"
    UNWANTED = "a dot is answered 550 5.7.1"
    HANG_UP = "the line of a dot is lost"
    RCPT_LATER = "a recipient is refused for now"
    RCPT_NOBODY = "a recipient is refused for good"
    SENDER_REFUSED = "our sender is refused"
    BREAK = "the line of a letter without a dot is lost"
    SEVEN_BIT = "a letter does not suit its line"
    DEAF = "the next dot cannot be written"
    UNHEARD = "the answer of the database is lost"
    CUT = "the connection to the database is cut"


def _said(kind: Kind, code: int, enhanced: str, words: str, stage: Stage) -> Verdict:
    wide = code == 421 or stage is Stage.MAIL
    return Verdict(kind, code, enhanced, words, wide, stage)


ACCEPTED = _said(Kind.ACCEPTED, 250, "2.0.0", "Ok", Stage.DOT)
AFTER = {
    Sea.GREYLIST: _said(Kind.LATER, 451, "4.7.1", "Greylisted, come again", Stage.DOT),
    Sea.TIRED: _said(Kind.LATER, 421, "4.3.2", "Closing", Stage.DOT),
    Sea.NOBODY: _said(Kind.REJECTED, 550, "5.1.1", "No such user", Stage.DOT),
    Sea.UNWANTED: _said(Kind.REJECTED, 550, "5.7.1", "Spam", Stage.DOT),
    Sea.HANG_UP: lost_after(),
}
BEFORE = {
    Sea.RCPT_LATER: _said(Kind.LATER, 450, "4.2.1", "Mailbox busy", Stage.RCPT),
    Sea.RCPT_NOBODY: _said(Kind.REJECTED, 550, "5.1.1", "No such user", Stage.RCPT),
    Sea.SENDER_REFUSED: _said(Kind.REJECTED, 550, "5.7.1", "Sender refused", Stage.MAIL),
    Sea.BREAK: lost_before(),
    Sea.SEVEN_BIT: Verdict(Kind.NOT_HANDED_OVER, None, None, "7 bits", False, Stage.MAIL),
}
FATES = {Sea.UNHEARD: Fate.UNHEARD, Sea.CUT: Fate.CUT}
WEATHER = [
    *[Sea.STEP] * 6,
    *[Sea.FAIR] * 14,
    *[Sea.ARRIVE] * 8,
    *[Sea.ACCEPT] * 3,
    *AFTER,
    *BEFORE,
    *FATES,
    Sea.DEAF,
]


@dataclass(slots=True)
class Witness:
    """What was seen from outside the database."""

    dots: dict[int, list[Dot]] = field(default_factory=dict)
    """By delivery."""
    silenced: set[int] = field(default_factory=set)
    """Addresses whose stop was confirmed."""
    halted: set[int] = field(default_factory=set)
    """Mailings whose stop or pause was confirmed."""
    buried: set[int] = field(default_factory=set)
    """Deliveries that were in a window of a lease that somebody buried."""
    closed: dict[int, object] = field(default_factory=dict)
    """By mailing, how it stood when it closed."""
    letters: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By delivery, its mailing and address."""
    reminders: set[int] = field(default_factory=set)
    """Deliveries of service letters: one that may have arrived is sent once more."""
    wrong: list[str] = field(default_factory=list)
    """Not raised where it is seen: that is in the middle of a sender, which bears everything."""

    def dotted_now(self, delivery_id: int) -> Dot:
        mailing_id, address_id = self.letters[delivery_id]
        before = self.dots.setdefault(delivery_id, [])
        if address_id in self.silenced and delivery_id not in self.reminders:
            self.wrong.append("a dot after the confirmed stop of its address")
        if mailing_id in self.halted:
            self.wrong.append("a dot after the confirmed stop of its mailing")
        if sum(dot.may_have_arrived for dot in before) > (delivery_id in self.reminders):
            self.wrong.append("a letter was sent twice")
        before.append(Dot())
        return before[-1]

    def may_have_arrived(self, delivery_id: int) -> bool:
        return any(dot.may_have_arrived for dot in self.dots.get(delivery_id, []))


class Broken(logging.Handler):
    """Writes down when a sender met something that nobody foresaw."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.wrong.append(f"{record.getMessage()}: {self.format(record)}")


def _sailing(number: int) -> Any:
    """Return a rule: one sender goes on for a while. There are several: mostly senders go on."""

    def sail(self: "Engines", weather: list[Sea]) -> None:
        process = self._process(number)
        for sea in weather:
            self._befall(process, sea)

    return rule(weather=st.lists(st.sampled_from(WEATHER), min_size=5, max_size=25))(sail)


class Engines(RuleBasedStateMachine):
    """Senders, staff, housekeeping and faults, in any order."""

    settings: Settings
    relay: Relay
    postgres: Engine
    patches: pytest.MonkeyPatch

    def __init__(self) -> None:
        super().__init__()
        _empty(self.postgres)
        self.session = Session(self.postgres)
        self.at = NOON
        self.seen = Witness()
        self.log = Broken(self.seen.wrong)
        logging.getLogger("crm.delivery").addHandler(self.log)
        self.processes: list[Process] = []
        self.mailings: list[int] = []
        self.addresses: list[int] = []

    @initialize(is_eager=st.booleans(), one_a_day=st.booleans())
    def open(self, *, is_eager: bool, one_a_day: bool) -> None:
        self.patches.setattr(voyage, "SETTLE_S", 0.0 if is_eager else 60.0)
        self.patches.setattr(voyage, "BEAT_S", 0.0 if is_eager else 60.0)
        a_clinic(self.session).one_a_day = one_a_day
        many_willing_contacts(self.session, PEOPLE)
        self.session.execute(text(_OF_SEVERAL_PROVIDERS))
        self.addresses = list(self.session.scalars(select(Address.id).order_by(Address.id)))
        self._launch()
        self.session.commit()
        for lane in (Lane.BULK, Lane.BULK, Lane.SERVICE):
            self._start(lane)

    # --- senders ---

    first_sails, first_sails_on = _sailing(0), _sailing(0)
    second_sails, second_sails_on = _sailing(1), _sailing(1)
    third_sails, third_sails_on = _sailing(2), _sailing(2)

    @precondition(lambda self: len(self.processes) < PROCESSES)
    @rule(lane=st.sampled_from(Lane))
    def start(self, lane: Lane) -> None:
        self._start(lane)

    @precondition(lambda self: self.processes)
    @rule(number=st.integers(0, PROCESSES - 1))
    def kill(self, number: int) -> None:
        self._part_with(self._process(number))

    @rule(number=st.integers(0, PROCESSES - 1))
    def end_politely(self, number: int) -> None:
        self._process(number).tell_to_end()

    @rule(number=st.integers(0, PROCESSES - 1))
    def relay_goes_away_for_a_while(self, number: int) -> None:
        process = self._process(number)
        process.harbour.away = True
        process.sail()
        process.sail()
        process.harbour.away = False

    @rule(number=st.integers(0, PROCESSES - 1))
    def disk_is_full_for_a_while(self, number: int) -> None:
        with self.patches.context() as patches:
            patches.setattr(journal, "RESERVE", 1 << 62)
            self._process(number).sail()

    # --- housekeeping ---

    @rule(which=st.integers(0, 5))
    def bury(self, which: int) -> None:
        """A sender stood still for half a minute, as its watcher saw it."""
        live = sorted(recover.live(self.session).items())
        self.session.rollback()
        if live:
            self._bury(*live[which % len(live)])

    @rule()
    def wind_down(self) -> None:
        self._try(lambda: close.wind_down(self.session, at=self.at))

    @rule()
    def finish(self) -> None:
        self._try(lambda: close.finish(self.session, at=self.at))
        for mailing_id in self.mailings:
            if self._certificate(mailing_id):
                self.seen.closed.setdefault(mailing_id, self._standing(mailing_id))

    @rule(seconds=st.sampled_from([1, 31, 400, 3600, 15_000, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    # --- people ---

    @precondition(lambda self: self._launched() < MAILINGS)
    @rule()
    def launch(self) -> None:
        self._try(self._launch)

    @precondition(lambda self: len(self.seen.reminders) < REMINDERS)
    @rule(whom=st.integers(0, PEOPLE - 1))
    def remind(self, whom: int) -> None:
        address = self.session.get_one(Address, self.addresses[whom])
        sent = service.send_one(
            self.session, a_promotion(), ENVELOPE, address=address, contact_id=None, at=self.at
        )
        self.seen.letters[sent.id] = (sent.mailing_id, sent.address_id)
        self.seen.reminders.add(sent.id)
        self.mailings.append(sent.mailing_id)
        self.session.commit()

    @rule(which=st.integers(0, MAILINGS + REMINDERS - 1))
    def pause(self, which: int) -> None:
        self._halt(which, MailingState.PAUSED)

    @rule(which=st.integers(0, MAILINGS + REMINDERS - 1))
    def stop(self, which: int) -> None:
        self._halt(which, MailingState.STOPPED)

    @rule(which=st.integers(0, MAILINGS + REMINDERS - 1))
    def resume(self, which: int) -> None:
        self._resume(self.mailings[which % len(self.mailings)])

    @rule(whom=st.integers(0, PEOPLE - 1), act=st.sampled_from([Act.OPTED_OUT, Act.WITHDRAWN]))
    def opt_out(self, whom: int, act: Act) -> None:
        address_id = self.addresses[whom]
        origin = Origin(source="form:test")
        if self._try(
            lambda: consent.stop(self.session, act, address_id, origin, keys=KEYS, at=self.at)
        ) and gate.barrier(self.session):
            self.seen.silenced.add(address_id)

    @rule(whom=st.integers(0, PEOPLE - 1))
    def agree_again(self, whom: int) -> None:
        self.at += timedelta(seconds=1)
        address = self.session.get_one(Address, self.addresses[whom])
        if self._try(lambda: an_event(self.session, Act.CONFIRMED, address, at=self.at)):
            self.seen.silenced.discard(address.id)

    # --- what always holds ---

    @invariant()
    def nothing_wrong_was_seen(self) -> None:
        assert self.seen.wrong == []

    @invariant()
    def the_books_balance(self) -> None:
        _, wrong = books.unbalanced(self.session)
        self.session.rollback()
        assert wrong == []

    @invariant()
    def outcomes_are_true(self) -> None:
        rows = self.session.execute(select(Outcome.delivery_id, Outcome.state)).all()
        self.session.rollback()
        for delivery_id, state in rows:
            dots = self.seen.dots.get(delivery_id, [])
            if state is DeliveryState.ACCEPTED:
                answers = [dot.answer for dot in dots]
                assert ACCEPTED in answers, "accepted without a relay's word"
            elif state is DeliveryState.UNCERTAIN:
                known = self.seen.may_have_arrived(delivery_id) or delivery_id in self.seen.buried
                assert known, "uncertain without a dot or a burial"
            elif delivery_id not in self.seen.reminders:
                assert not self.seen.may_have_arrived(delivery_id), f"{state} after its dot"

    @invariant()
    def what_is_closed_stays_as_it_is(self) -> None:
        for mailing_id, before in self.seen.closed.items():
            assert self._standing(mailing_id) == before

    def teardown(self) -> None:
        try:
            if self.mailings:
                self._let_it_run_out()
        finally:
            for process in self.processes:
                process.kill()
            self.session.close()
            logging.getLogger("crm.delivery").removeHandler(self.log)

    # --- how ---

    def _let_it_run_out(self) -> None:
        """With healthy senders every mailing closes, and its certificate tells what was seen."""
        for lane in Lane:
            self._start(lane)
        self.patches.setattr(voyage, "BEAT_S", 0.0)
        for _ in range(60):
            silent = recover.live(self.session)
            self.session.rollback()
            for process in list(self.processes) * 8:
                self._befall(process, Sea.FAIR)
            for fence, beats in silent.items():
                self._bury(fence, beats)
            for mailing_id in self.mailings:
                self._resume(mailing_id)
            self.wind_down()
            self.finish()
            self.nothing_wrong_was_seen()
            self.the_books_balance()
            self.outcomes_are_true()
            if all(mailing_id in self.seen.closed for mailing_id in self.mailings):
                break
            self.at += timedelta(hours=1)
        self._reckon()

    def _reckon(self) -> None:
        rows = self.session.execute(select(Outcome.delivery_id, Outcome.state))
        ended = {row.delivery_id: row.state for row in rows}
        self.session.rollback()
        assert set(ended) == set(self.seen.letters), "letters without an end"
        for mailing_id in self.mailings:
            certificate = self._certificate(mailing_id)
            assert certificate, "a mailing does not close"
            assert certificate["adds_up"]
        for delivery_id, dots in self.seen.dots.items():
            if any(dot.answer == ACCEPTED for dot in dots):
                assert ended[delivery_id] in (DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN)

    def _process(self, number: int) -> Process:
        return self.processes[number % len(self.processes)]

    def _start(self, lane: Lane) -> None:
        self.processes.append(
            Process(
                self.settings,
                self.relay,
                lane=lane,
                now=lambda: self.at,
                dotted_now=self.seen.dotted_now,
            )
        )

    def _befall(self, process: Process, sea: Sea) -> None:
        _stir(process.harbour, sea)
        if sea in (Sea.STEP, Sea.DEAF, *FATES):
            process.step(FATES.get(sea, Fate.GOES_ON))
        else:
            process.sail()
        if not process.is_alive and process in self.processes:
            self._part_with(process)

    def _part_with(self, process: Process) -> None:
        self.processes.remove(process)
        process.kill()
        if not self.processes:
            self._start(Lane.BULK)

    def _launched(self) -> int:
        return len({one for one, _ in self.seen.letters.values()}) - len(self.seen.reminders)

    def _launch(self) -> bool:
        mailing = a_running_mailing(self.session, at=self.at)
        letters = self.session.execute(
            select(Delivery.id, Delivery.mailing_id, Delivery.address_id).where(
                Delivery.mailing_id == mailing.id
            )
        )
        self.seen.letters |= {one.id: (one.mailing_id, one.address_id) for one in letters}
        self.mailings.append(mailing.id)
        return True

    def _halt(self, which: int, state: MailingState) -> None:
        mailing_id = self.mailings[which % len(self.mailings)]
        mailing = self.session.get_one(Mailing, mailing_id, populate_existing=True)
        may = {MailingState.RUNNING}
        if state is MailingState.STOPPED:
            may |= {MailingState.PAUSED, MailingState.HELD}
        is_possible = mailing.state in may
        self.session.rollback()

        def halt() -> None:
            if state is MailingState.PAUSED:
                service.pause(self.session, mailing_id)
            else:
                service.stop(self.session, mailing_id, at=self.at)

        if is_possible and self._try(halt) and gate.barrier(self.session):
            self.seen.halted.add(mailing_id)

    def _resume(self, mailing_id: int) -> None:
        mailing = self.session.get_one(Mailing, mailing_id, populate_existing=True)
        at_rest = mailing.state in (MailingState.PAUSED, MailingState.HELD)
        self.session.rollback()
        if at_rest and self._try(lambda: service.resume(self.session, mailing_id)):
            self.seen.halted.discard(mailing_id)

    def _bury(self, fence: int, beats: int) -> None:
        windows = self.session.scalars(select(Window.delivery_ids).where(Window.fence == fence))
        intended = {one for window in windows for one in window}
        self.session.rollback()

        def bury() -> None:
            if recover.bury(self.session, fence, beats, at=self.at) is not None:
                self.seen.buried |= intended

        self._try(bury)

    def _try(self, act: Callable[[], object]) -> bool:
        """Do it, unless a sender that has stopped holds a lock that it needs."""
        try:
            act()
            self.session.commit()
        except OperationalError:
            self.session.rollback()
            return False
        return True

    def _certificate(self, mailing_id: int) -> dict[str, object] | None:
        certificate = self.session.scalar(
            select(Mailing.certificate).where(Mailing.id == mailing_id)
        )
        self.session.rollback()
        return certificate

    def _standing(self, mailing_id: int) -> object:
        rows = self.session.execute(
            select(Outcome.delivery_id, Outcome.state).where(Outcome.mailing_id == mailing_id)
        )
        standing = sorted(tuple(row) for row in rows)
        mailing = self.session.get_one(Mailing, mailing_id, populate_existing=True)
        found = (mailing.state, mailing.certificate, standing)
        self.session.rollback()
        return found


def _stir(harbour: Harbour, sea: Sea) -> None:
    without_dot = harbour.ready + harbour.waiting
    harbour.is_deaf |= sea is Sea.DEAF
    if sea in (Sea.ARRIVE, Sea.FAIR):
        harbour.arrive()
    if sea in (Sea.ACCEPT, Sea.FAIR):
        for key in list(harbour.dotted):
            harbour.answer(key, ACCEPTED)
    if sea in AFTER and harbour.dotted:
        harbour.answer(next(iter(harbour.dotted)), AFTER[sea])
    if sea in BEFORE and without_dot:
        harbour.refuse(without_dot[0], BEFORE[sea])


def _empty(postgres: Engine) -> None:
    with postgres.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


_OF_SEVERAL_PROVIDERS = """
    UPDATE addresses SET provider = CASE id % 3 WHEN 0 THEN 'gmail' ELSE 'other' END,
        value = replace(value, 'mail.example', id % 3 || '.example')
"""


@pytest.fixture
def engines(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> type[Engines]:
    relays = [Relay.from_url(url) for url in settings.relay_urls]
    postgres = create_engine(settings.database_url)
    event.listen(postgres, "connect", wait_for_no_lock)
    for module, name, value in (
        (voyage, "LOOK_AGAIN_S", 0.0),
        (dispatch, "BARRED_S", 0.0),
        (insist, "AWAY_S", 0.0),
        (service, "RANGE_SIZE", 3),
        (gate, "BARRIER_MS", 10),
    ):
        monkeypatch.setattr(module, name, value)
    here = {
        "settings": settings,
        "relay": relays[0],
        "postgres": postgres,
        "patches": monkeypatch,
    }
    return type("EnginesHere", (Engines,), here)


def test_chance_finds_no_order_of_things_that_doubles_or_loses_a_letter(
    engines: type[Engines],
) -> None:
    run_state_machine_as_test(engines, settings=_bounds(examples=20, steps=40))


@pytest.mark.long
def test_much_chance_finds_none_either(engines: type[Engines]) -> None:
    run_state_machine_as_test(engines, settings=_bounds(examples=1000, steps=80))


def _bounds(*, examples: int, steps: int) -> bounds:
    return bounds(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
