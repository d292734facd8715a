"""Servers that offer PIPELINING and do not bear it: nothing lost, nothing doubled, in time."""

from collections.abc import Callable

import pytest

from crm.mail.smtp import Kind, Stage
from tests.mail.hostile import Visit, listening
from tests.mail.visitor import (
    deliver,
    fleet_to,
    kinds,
    letter,
    letters,
    numbers,
    until_ready,
)

OK = b"250 2.0.0 Ok\r\n"
Habit = Callable[[Visit, bytes], None]


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.mail.smtp.patience.ENVELOPE_S", 0.25)


def with_habit(visit: Visit, habit: Habit) -> None:
    """Behave, but for what `habit` does before each answer; the dot is a command, too."""
    visit.greet(b"PIPELINING")
    while (line := visit.line()) != b"QUIT":
        habit(visit, line)
        if line == b"DATA":
            visit.send(b"354 Go\r\n")
            visit.body()
            habit(visit, b".")
        refused = line.startswith(b"RCPT TO:<no")
        visit.send(b"550 5.1.1 No such user\r\n" if refused else OK)


def test_input_thrown_away_after_each_command() -> None:
    def forgetful(visit: Visit, _line: bytes) -> None:
        visit.forget()

    with listening(lambda visit: with_habit(visit, forgetful)) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(20, refused={7}))
        assert ends[0].kind is Kind.NOT_HANDED_OVER, "lost with three lines, and no more"
        assert ends[7].kind is Kind.REJECTED
        assert numbers(server.bodies) == sorted(set(range(20)) - {0, 7})
        assert server.visits == 4


def test_input_thrown_away_after_a_refusal() -> None:
    def offended(visit: Visit, line: bytes) -> None:
        if line.startswith(b"RCPT TO:<no"):
            visit.forget()

    refused = {0, 4, 5, 9, 11}
    with listening(lambda visit: with_habit(visit, offended)) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(15, refused=refused))
        assert {key for key, kind in kinds(ends).items() if kind is Kind.REJECTED} == refused
        assert all(ends[key].stage is Stage.RCPT for key in refused)
        assert numbers(server.bodies) == sorted(set(range(15)) - refused)
        assert server.visits == 4, "it is known after three times"


def test_input_thrown_away_behind_a_dot() -> None:
    def forgetful(visit: Visit, line: bytes) -> None:
        if line == b".":
            visit.forget()

    with listening(lambda visit: with_habit(visit, forgetful)) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(12))
        assert set(kinds(ends).values()) == {Kind.ACCEPTED}
        assert numbers(server.bodies) == list(range(12))
        assert server.visits == 4


def test_a_dot_that_is_only_known_when_nothing_follows() -> None:
    def wants_silence(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        while visit.line() != b"QUIT":
            visit.send(OK)
            visit.expect(b"RCPT", OK)
            visit.expect(b"DATA", b"354 Go\r\n")
            visit.body_at_the_end_of_a_read()
            visit.send(OK)

    with listening(wants_silence) as server, fleet_to(server, patience_s=0.3) as fleet:
        ends = deliver(fleet, letters(20))
        doubtful = {key for key, kind in kinds(ends).items() if kind is Kind.UNCERTAIN}
        assert len(doubtful) == 3, "it is known after three times"
        assert set(kinds(ends).values()) == {Kind.ACCEPTED, Kind.UNCERTAIN}
        assert numbers(server.bodies) == sorted(set(range(20)) - doubtful)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([OK, b"550 5.1.1 No\r\n", b"354 Go\r\n"], id="354 for nobody"),
        pytest.param([OK, b"550 5.1.1 No\r\n", b"what\r\n"], id="garbage after a refusal"),
        pytest.param([OK, b"550 5.1.1 No\r\n", OK], id="250 for DATA"),
        pytest.param([OK, b"550 5.1.1 No\r\n", b""], id="silence"),
    ],
)
def test_no_body_for_nobody(answers: list[bytes]) -> None:
    def careless(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        for answer in answers:
            visit.line()
            visit.send(answer)
        visit.hang()

    with listening(careless) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(3))
        assert {(end.kind, end.stage) for end in ends.values()} == {(Kind.REJECTED, Stage.RCPT)}
        assert server.bodies == []
        assert not any(heard.startswith((b"Letter", b".")) for heard in server.heard)


def test_answers_that_come_before_their_questions_are_not_believed() -> None:
    def hasty(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.body()
        visit.send(OK + OK + OK + OK)
        visit.hang()

    with listening(hasty) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        ends = deliver(fleet, {2: letter(2)}, also=(1,))
        assert ends[1].kind is Kind.ACCEPTED
        assert ends[2].kind is Kind.NOT_HANDED_OVER or numbers(server.bodies) == [1, 2]


def test_a_relay_that_stood_still_once_is_still_pipelined() -> None:
    def hangs(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.body()
        visit.send(OK)
        visit.hang()

    in_one_breath: list[bool] = []

    def behaves(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        in_one_breath.append(visit.unread().endswith(b"DATA\r\n"))
        visit.serve()

    scripts = *[hangs] * 8, behaves
    with listening(*scripts) as server, fleet_to(server, 8) as fleet:
        ends = deliver(fleet, letters(40))
        assert set(kinds(ends).values()) == {Kind.ACCEPTED}
        assert sorted(numbers(server.bodies)) == list(range(40))
        assert all(in_one_breath)
