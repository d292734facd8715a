"""Senders, staff, housekeeping and faults in any order: the world that chance drives.

Several senders take turns in one thread (``interleaved``), and between any two of their steps
somebody opts out, stops, pauses, launches, sends again, buries a lease, cuts a connection or kills
a process.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.consent import gate
from crm.consent import service as consent
from crm.consent.ledger import Origin
from crm.consent.rules import Act
from crm.contacts.models import Address
from crm.db import Base
from crm.delivery import books, close, recover, service, voyage
from crm.delivery.models import Delivery, Mailing, Outcome, Window
from crm.delivery.resend import resend
from crm.delivery.states import DeliveryState, Lane, MailingState
from crm.errors import WrongState
from crm.mail.smtp import Relay
from crm.safekeeping import journal
from tests.delivery.interleaved import Fate, Process
from tests.delivery.sea import ACCEPTED, FATES, WEATHER, Sea, stir
from tests.delivery.witness import Broken, Witness
from tests.factories import (
    ENVELOPE,
    KEYS,
    NOON,
    a_clinic,
    a_member_of_staff,
    a_promotion,
    a_running_mailing,
    an_event,
    many_willing_contacts,
)

PEOPLE = 12
MAILINGS = 3
REMINDERS = 3
RESENDS = 3
PROCESSES = 3
EVERY = MAILINGS + REMINDERS + RESENDS
"""Mailings there may be, all told."""


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
        self.staff = 0

    @initialize(is_eager=st.booleans(), one_a_day=st.booleans())
    def open(self, *, is_eager: bool, one_a_day: bool) -> None:
        self.patches.setattr(voyage, "SETTLE_S", 0.0 if is_eager else 60.0)
        self.patches.setattr(voyage, "BEAT_S", 0.0 if is_eager else 60.0)
        a_clinic(self.session).one_a_day = one_a_day
        many_willing_contacts(self.session, PEOPLE)
        self.session.execute(text(_OF_SEVERAL_PROVIDERS))
        self.addresses = list(self.session.scalars(select(Address.id).order_by(Address.id)))
        self.staff = a_member_of_staff(self.session, "marketer").id
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
    def stand_in_the_gate(self, number: int) -> None:
        """The look is done, and its dots are not yet written."""
        process = self._process(number)
        process.sail()
        process.harbour.arrive()
        process.sail_into_the_gate()

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

    @precondition(lambda self: len(self.seen.parents) < RESENDS)
    @rule(which=st.integers(0, EVERY - 1), some=st.none() | st.integers(0, PEOPLE - 1))
    def send_again(self, which: int, some: int | None) -> None:
        """A named person does not want to leave it in doubt: one letter, or all that are left."""
        mailing_id = self.mailings[which % len(self.mailings)]
        if mailing_id not in self.seen.mailings_of_reminders:
            self._try(lambda: self._send_again(mailing_id, some))

    @rule(which=st.integers(0, EVERY - 1))
    def pause(self, which: int) -> None:
        self._halt(which, MailingState.PAUSED)

    @rule(which=st.integers(0, EVERY - 1))
    def stop(self, which: int) -> None:
        self._halt(which, MailingState.STOPPED)

    @rule(which=st.integers(0, EVERY - 1))
    def resume(self, which: int) -> None:
        self._resume(self.mailings[which % len(self.mailings)])

    @rule(whom=st.integers(0, PEOPLE - 1), act=st.sampled_from([Act.OPTED_OUT, Act.WITHDRAWN]))
    def opt_out(self, whom: int, act: Act) -> None:
        self._opt_out(self.addresses[whom], act)

    @rule(number=st.integers(0, 8))
    def opt_out_with_the_letter_under_way(self, number: int) -> None:
        aboard = [one for process in self.processes for one in process.harbour.ready]
        if aboard:
            self._opt_out(self.seen.letters[aboard[number % len(aboard)]][1], Act.OPTED_OUT)

    def _opt_out(self, address_id: int, act: Act) -> None:
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
        stir(process.harbour, sea)
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
        return len(self.mailings) - len(self.seen.reminders) - len(self.seen.parents)

    def _launch(self) -> None:
        self._know(a_running_mailing(self.session, at=self.at).id)

    def _know(self, mailing_id: int) -> dict[int, int]:
        """Take a mailing into account; return its letters by address."""
        letters = self.session.execute(
            select(Delivery.address_id, Delivery.id).where(Delivery.mailing_id == mailing_id)
        )
        found = {one.address_id: one.id for one in letters}
        self.seen.letters |= {letter: (mailing_id, to) for to, letter in found.items()}
        self.mailings.append(mailing_id)
        return found

    def _send_again(self, mailing_id: int, some: int | None) -> None:
        uncertain = self.seen.letters_of(mailing_id) & self._in_doubt()
        chosen = None if some is None else sorted(uncertain)[some : some + 1]
        mailing = self.session.get_one(Mailing, mailing_id, populate_existing=True)
        try:
            again = resend(self.session, mailing, chosen, by=self.staff, at=self.at)
        except WrongState:
            self.session.rollback()
            return
        if again is not None:
            letters = self._know(again.id)
            self.seen.sent_again(mailing_id, again.id, letters, uncertain)

    def _in_doubt(self) -> set[int]:
        uncertain = Outcome.state == DeliveryState.UNCERTAIN
        return set(self.session.scalars(select(Outcome.delivery_id).where(uncertain)))

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

        if is_possible and self._try(halt):
            is_told = gate.barrier(self.session)
            self.seen.halt(mailing_id, for_good=state is MailingState.STOPPED, is_told=is_told)

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
                ended = select(Outcome.delivery_id).where(Outcome.delivery_id.in_(intended))
                self.seen.ended |= set(self.session.scalars(ended))

        self.session.execute(text(_CUT_IN_THE_GATE))
        self.session.commit()
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


def _empty(postgres: Engine) -> None:
    with postgres.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


_CUT_IN_THE_GATE = """
    SELECT pg_terminate_backend(pid, 1000) FROM pg_locks
    WHERE locktype = 'advisory' AND mode = 'ShareLock' AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""Half a minute is longer than the server lets anybody stand in the gate."""
_OF_SEVERAL_PROVIDERS = """
    UPDATE addresses SET provider = CASE id % 3 WHEN 0 THEN 'gmail' ELSE 'other' END,
        value = replace(value, 'mail.example', id % 3 || '.example')
"""
