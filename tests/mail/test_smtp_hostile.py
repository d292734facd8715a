"""Whatever a server does: every letter ends once, uncertain only if its dot is unanswered."""

import time
from collections.abc import Callable

import pytest

from crm.mail.smtp import Kind, Stage
from tests.mail.hostile import Script, Visit, listening, refusing, well_behaved
from tests.mail.visitor import (
    deliver,
    deliver_one,
    fleet_to,
    hurry,
    kinds,
    letter,
    letters,
    numbers,
    until_ready,
)

OK = b"250 2.0.0 Ok\r\n"
BROKEN = [
    pytest.param(b"", id="silence"),
    pytest.param(b"hello?\r\n", id="garbage"),
    pytest.param(b"\xff\xfe\x00\r\n", id="binary garbage"),
    pytest.param(b"25", id="half a reply"),
    pytest.param(b"250-first\r\n", id="half a multi-line reply"),
    pytest.param(b"250-first\r\n550 second\r\n", id="two codes in one reply"),
    pytest.param(b"650 what\r\n", id="an unknown code"),
    pytest.param(b"250 " + b"a" * 5000 + b"\r\n", id="a line too long"),
    pytest.param(b"250 " + b"a" * 5000, id="a line without end"),
    pytest.param(b"250-aaaaaaaaaaaaaaaaaaaaa\r\n" * 4000, id="a reply without end"),
    pytest.param(b"354 go on and on\r\n", id="a code that has no place here"),
]
STEPS = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"]
EVERY_WAY = pytest.mark.parametrize("extension", [b"PIPELINING", b"HELP"])
Act = Callable[[Visit], None]


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.5)


def failing_at(step: str, act: Act, extension: bytes) -> Script:
    """Return a script that behaves until `step` and then does `act` instead of answering."""

    def script(visit: Visit) -> None:
        if step == "greeting":
            return act(visit)
        visit.send(b"220 relay.test\r\n")
        hello = b"250-relay.test\r\n250 %b\r\n" % extension
        for command, answer in (
            ("EHLO", hello),
            ("MAIL", OK),
            ("RCPT", OK),
            ("DATA", b"354 Go\r\n"),
        ):
            if command == step:
                visit.line()
                return act(visit)
            visit.expect(command.encode(), answer)
        visit.body()
        return act(visit)

    return script


def saying(data: bytes) -> Act:
    """Return an act: say it and fall silent."""

    def act(visit: Visit) -> None:
        visit.send(data)
        visit.hang()

    return act


@EVERY_WAY
@pytest.mark.parametrize("data", BROKEN)
@pytest.mark.parametrize("step", STEPS)
def test_a_broken_answer_is_uncertain_only_after_the_dot(
    step: str, data: bytes, extension: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if step == "DATA" and data.startswith(b"354"):
        data = b"250 Ok\r\n"
    if step != "dot":
        hurry(monkeypatch, 0.06)
    script = failing_at(step, saying(data), extension)
    with listening(script) as server, fleet_to(server, patience_s=0.06) as fleet:
        verdict = deliver_one(fleet)
        assert verdict.kind is (Kind.UNCERTAIN if step == "dot" else Kind.NOT_HANDED_OVER)
        assert verdict.relay_wide is (step != "dot")
        assert len(server.bodies) == (1 if step == "dot" else 0)


@EVERY_WAY
@pytest.mark.parametrize("act", [lambda visit: None, Visit.reset], ids=["close", "reset"])
@pytest.mark.parametrize("step", STEPS)
def test_a_closed_connection_is_uncertain_only_after_the_dot(
    step: str, act: Act, extension: bytes
) -> None:
    with listening(failing_at(step, act, extension)) as server, fleet_to(server) as fleet:
        verdict = deliver_one(fleet)
        assert verdict.kind is (Kind.UNCERTAIN if step == "dot" else Kind.NOT_HANDED_OVER)
        assert "connection" in verdict.text.lower()


@EVERY_WAY
@pytest.mark.parametrize("code", ["421 4.3.2", "451 4.7.1", "550 5.1.1"])
@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_is_told_apart_by_its_step(step: str, code: str, extension: bytes) -> None:
    script = failing_at(step, saying(f"{code} No, not now\r\n".encode()), extension)
    with listening(script) as server, fleet_to(server) as fleet:
        verdict = deliver_one(fleet)
        if step in {"greeting", "EHLO"}:
            assert (verdict.kind, verdict.stage) == (Kind.NOT_HANDED_OVER, Stage.CONNECTION)
        else:
            assert verdict.kind is (Kind.LATER if code[0] == "4" else Kind.REJECTED)
            assert (verdict.code, verdict.enhanced) == (int(code[:3]), code[4:])
            assert (verdict.text, verdict.stage) == ("No, not now", Stage(step.lower()))
        assert verdict.relay_wide is (step in {"greeting", "EHLO", "MAIL"} or code[:3] == "421")


@EVERY_WAY
@pytest.mark.parametrize(
    "act", [lambda visit: None, Visit.reset, Visit.hang, saying(b"421 Bye\r\n")]
)
def test_a_follower_of_a_lost_dot_goes_over_another_line_once(act: Act, extension: bytes) -> None:
    losing = failing_at("dot", act, extension)
    with (
        listening(losing, well_behaved(extension)) as server,
        fleet_to(server, patience_s=0.4) as fleet,
    ):
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        ends = deliver(fleet, {2: letter(2)}, also=(1,))
        assert ends[1].kind in (Kind.UNCERTAIN, Kind.LATER)
        assert ends[2].kind is Kind.ACCEPTED
        assert numbers(server.bodies) == [1, 2]


def test_a_follower_is_not_sent_after_lines_that_are_lost_for_ever() -> None:
    def first_only(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.body()
        visit.send(OK)

    with listening(first_only) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(12))
        assert set(kinds(ends).values()) <= {Kind.ACCEPTED, Kind.NOT_HANDED_OVER}
        assert numbers(server.bodies) == [
            key for key, kind in sorted(kinds(ends).items()) if kind is Kind.ACCEPTED
        ]


@pytest.mark.parametrize("nth", range(1, 9))
def test_a_dismissal_in_the_middle_of_a_pipeline_loses_and_doubles_nothing(nth: int) -> None:
    def tires(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        answers = [OK, OK, b"354 Go\r\n", OK] * 2
        answers[nth - 1] = b"421 4.3.2 Closing\r\n"
        for number, answer in enumerate(answers[:nth]):
            if number % 4 == 3:
                visit.body()
            else:
                visit.line()
            visit.send(answer)

    with listening(tires, tires, well_behaved(b"PIPELINING")) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(6))
        accepted = {key for key, kind in kinds(ends).items() if kind is Kind.ACCEPTED}
        later = {key for key, kind in kinds(ends).items() if kind is Kind.LATER}
        assert accepted | later == set(range(6))
        assert all(ends[key].code == 421 and ends[key].relay_wide for key in later)
        assert len(later) == (0 if nth == 5 else 2)
        dotted = accepted | (later if nth in (4, 8) else set())
        assert sorted(numbers(server.bodies)) == sorted(dotted)


@EVERY_WAY
def test_replies_in_single_bytes_and_many_lines_are_understood(extension: bytes) -> None:
    def fragments(visit: Visit) -> None:
        visit.drip(b"220-welcome\r\n220 relay.test\r\n")
        visit.line()
        visit.drip(b"250-relay.test\r\n250-SIZE 100000\r\n250 %b\r\n" % extension)
        for _ in range(5):
            for end in (b"250 ok\r\n", b"250\r\n", b"354 go\r\n"):
                visit.line()
                visit.drip(end[:3] + b"-first\r\n" + end[:3] + b"-\r\n" + end)
            visit.body()
            visit.drip(b"250-2.0.0 taken\r\n250 2.0.0 queued as 1\r\n")
        visit.hang()

    with listening(fragments) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(5))
        assert {(end.kind, end.text) for end in ends.values()} == {
            (Kind.ACCEPTED, "taken queued as 1")
        }
        assert numbers(server.bodies) == [0, 1, 2, 3, 4]


def test_a_stuck_line_does_not_hold_up_the_others() -> None:
    def stuck(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.expect(b"MAIL", b"")
        visit.hang()

    with listening(stuck, well_behaved(b"PIPELINING")) as server, fleet_to(server, 4) as fleet:
        ends = kinds(deliver(fleet, letters(40)))
        assert sorted(ends.values()) == [Kind.ACCEPTED] * 39 + [Kind.NOT_HANDED_OVER]
        lost = {key for key, kind in ends.items() if kind is Kind.NOT_HANDED_OVER}
        assert set(numbers(server.bodies)) == set(ends) - lost


@pytest.mark.parametrize("pause_s", [0, 0.03])
@EVERY_WAY
def test_a_second_answer_to_a_dot_is_not_the_next_letters(pause_s: float, extension: bytes) -> None:
    def twice(visit: Visit) -> None:
        visit.greet(extension)
        visit.envelope()
        visit.body()
        visit.send(OK)
        time.sleep(pause_s)
        visit.send(OK)
        visit.hang()

    with listening(twice, refusing(MAIL="550 No")) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        ends = deliver(fleet, {2: letter(2)}, also=(1,))
        assert kinds(ends) == {1: Kind.ACCEPTED, 2: Kind.REJECTED}
        assert deliver_one(fleet).kind is Kind.REJECTED


def test_more_answers_than_questions_are_not_believed() -> None:
    def twice(visit: Visit) -> None:
        visit.greet()
        while True:
            visit.line()
            visit.send(OK + OK)

    with listening(twice) as server, fleet_to(server) as fleet:
        assert deliver_one(fleet).kind is Kind.NOT_HANDED_OVER
        server.over.wait(0.05)
        assert [heard[:4] for heard in server.heard] == [b"EHLO", b"MAIL"]


@EVERY_WAY
def test_a_transaction_that_cannot_be_reset_is_not_built_upon(extension: bytes) -> None:
    rude = refusing(extension, **{"RCPT TO:<no": "550 5.1.1 No", "RSET": "502 5.5.1 What?"})
    with listening(rude) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(6, refused={1, 3}))
        assert {key for key, kind in kinds(ends).items() if kind is Kind.REJECTED} == {1, 3}
        assert numbers(server.bodies) == [0, 2, 4, 5]
        assert server.visits == 3


def test_a_trickle_of_bytes_does_not_stretch_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trickle(visit: Visit) -> None:
        while not visit.server.over.is_set():
            visit.drip(b"220-a\r\n", 0.01)

    hurry(monkeypatch, 0.15)
    with listening(trickle) as server, fleet_to(server, 3) as fleet:
        begun = time.monotonic()
        ends = deliver(fleet, letters(9))
        assert time.monotonic() - begun < 2
        assert set(kinds(ends).values()) == {Kind.NOT_HANDED_OVER}


def test_an_endless_greeting_is_cut_short() -> None:
    def endless(visit: Visit) -> None:
        while not visit.server.over.is_set():
            visit.send(b"220-and so on and so forth\r\n" * 100)

    with listening(endless) as server, fleet_to(server) as fleet:
        verdict = deliver_one(fleet, within_s=1)
        assert verdict.kind is Kind.NOT_HANDED_OVER
        assert verdict.text == "The relay's answer could not be understood."


def test_a_farewell_takes_a_second_at_most() -> None:
    def clinging(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.body()
        visit.send(OK)
        visit.server.over.wait()

    with listening(clinging) as server:
        with fleet_to(server, 3) as fleet:
            for key in range(3):
                fleet.hand_in(key, letter(key))
            until_ready(fleet, {0, 1, 2})
            deliver(fleet, {}, also=(0, 1, 2))
            begun = time.monotonic()
        assert 0.9 < time.monotonic() - begun < 2
