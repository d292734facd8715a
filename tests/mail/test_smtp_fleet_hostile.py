"""Whatever a server does: every letter ends once, uncertain only if its dot is unanswered."""

import threading
import time
from collections.abc import Callable

import pytest

from crm.mail.smtp import Kind, Letter, Stage
from crm.mail.smtp.pipe import Pipe
from tests.mail.hostile import (
    LETTER,
    Script,
    Visit,
    deliver,
    deliver_one,
    fleet_to,
    kinds,
    letter,
    letters,
    listening,
    narrow,
    numbers,
    refusing,
    until_ready,
    well_behaved,
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
def impatience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let no phase take long; call it where servers keep silent anyway."""

    def last(seconds: float) -> None:
        for phase in ("TALK_S", "ENVELOPE_S", "BODY_S"):
            monkeypatch.setattr(f"crm.mail.smtp.patience.{phase}", seconds)

    last(0.5)
    return last


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
    step: str, data: bytes, extension: bytes, impatience: Callable[[float], None]
) -> None:
    impatience(0.06)
    if step == "DATA" and data.startswith(b"354"):
        data = b"250 Ok\r\n"
    script = failing_at(step, saying(data), extension)
    with listening(script) as server, fleet_to(server, patience_s=0.06) as fleet:
        verdict = deliver_one(fleet, within_s=3)
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
        verdict = deliver_one(fleet, within_s=3)
        assert verdict.kind is (Kind.UNCERTAIN if step == "dot" else Kind.NOT_HANDED_OVER)
        assert verdict.text == "The relay closed the connection."


@EVERY_WAY
@pytest.mark.parametrize("code", ["421 4.3.2", "451 4.7.1", "550 5.1.1"])
@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_is_told_apart_by_its_step(step: str, code: str, extension: bytes) -> None:
    script = failing_at(step, saying(f"{code} No, not now\r\n".encode()), extension)
    with listening(script) as server, fleet_to(server) as fleet:
        verdict = deliver_one(fleet, within_s=3)
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
        fleet_to(server, patience_s=0.15) as fleet,
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


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"552 5.3.4 Too big\r\n", Kind.REJECTED),
        (b"452 4.3.1 Full\r\n", Kind.LATER),
        (b"421 4.3.2 Closing\r\n", Kind.LATER),
        (b"250 2.0.0 Taken already\r\n", Kind.NOT_HANDED_OVER),
        (b"ha", Kind.NOT_HANDED_OVER),
        (b"", Kind.NOT_HANDED_OVER),
    ],
)
@pytest.mark.parametrize("turns", [True, False])
def test_an_answer_before_the_dot_forbids_it(answer: bytes, kind: Kind, turns: bool) -> None:
    ready = threading.Event()

    def hasty(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        ready.wait(3)
        visit.send(answer)
        if answer:
            visit.hang()

    with listening(hasty) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, LETTER)
        until_ready(fleet, {1})
        ready.set()
        time.sleep(0.1)
        if turns:
            fleet.turn(wait_s=0.1)
            assert fleet.ready == []
        assert not fleet.dot(1)
        verdict = deliver(fleet, {}, also=(1,))[1]
        assert (verdict.kind, verdict.stage) == (kind, Stage.DATA)
        assert server.bodies == []


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (b"", Kind.NOT_HANDED_OVER),
        (b"552 5.3.4 Too big\r\n", Kind.REJECTED),
        (b"451 4.3.0 Disk\r\n", Kind.LATER),
    ],
)
def test_a_server_that_stops_in_the_middle_of_a_body_has_nothing(last: bytes, kind: Kind) -> None:
    def stops(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.some_body(1000)
        visit.send(last)
        if last:
            visit.server.over.wait(0.5)
        visit.reset()

    huge = letter(1, body=b"x" * 20_000_000 + b"\r\n")
    with listening(stops, well_behaved()) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, {1: huge, 2: letter(2)})
        assert kinds(ends) == {1: kind, 2: Kind.ACCEPTED}
        assert numbers(server.bodies) == [2]


@pytest.mark.parametrize("sip", [0, 1])
def test_a_body_that_is_hardly_read_ends_in_time(
    sip: int, impatience: Callable[[float], None]
) -> None:
    def deaf(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        while not visit.server.over.wait(0.02):
            visit.sock.recv(sip)

    impatience(0.15)
    huge = letter(1, body=b"x" * 20_000_000 + b"\r\n")
    with listening(deaf) as server, fleet_to(server) as fleet:
        begun = time.monotonic()
        assert deliver_one(fleet, huge).kind is Kind.NOT_HANDED_OVER
        assert time.monotonic() - begun < 1.5


def test_a_body_that_is_slowly_read_is_borne_as_long_as_it_moves(
    impatience: Callable[[float], None],
) -> None:
    def sips(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        for _ in range(10):
            time.sleep(0.05)
            visit.sock.recv(800_000)
        visit.server.over.wait()

    impatience(0.2)
    huge = letter(1, body=b"x" * 20_000_000 + b"\r\n")
    with listening(sips) as server, fleet_to(server) as fleet:
        begun = time.monotonic()
        assert deliver_one(fleet, huge).kind is Kind.NOT_HANDED_OVER
        assert 0.45 < time.monotonic() - begun < 3


@pytest.mark.parametrize("octets", [0, 1, 2])
def test_a_dot_that_finds_no_room_is_taken_back_in_part(
    octets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Pipe.send

    def no_room_for_dots(pipe: Pipe, data: bytes | memoryview, *, more: bool = False) -> int:
        return send(pipe, data[:octets] if bytes(data[:3]) == b".\r\n" else data, more=more)

    monkeypatch.setattr(Pipe, "send", no_room_for_dots)
    with listening(well_behaved(b"PIPELINING")) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        fleet.hand_in(2, letter(2))
        assert not fleet.dot(1)
        monkeypatch.undo()
        ends = deliver(fleet, {}, also=(1, 2))
        assert kinds(ends) == {1: Kind.NOT_HANDED_OVER, 2: Kind.ACCEPTED}
        assert ends[1].text == "The relay does not read what it is sent."
        assert numbers(server.bodies) == [2]


def test_an_envelope_that_finds_no_room_behind_the_dot_is_sent_when_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow(monkeypatch)
    cargo = {
        key: Letter("a" * 300, "b" * 300, letter(key, body=b"x" * 30 * key + b"\r\n").body)
        for key in range(200)
    }
    with listening(well_behaved(b"PIPELINING")) as server, fleet_to(server, 3) as fleet:
        assert set(kinds(deliver(fleet, cargo)).values()) == {Kind.ACCEPTED}
        assert sorted(numbers(server.bodies)) == list(range(200))


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
        visit.line()
        visit.send(OK + OK)
        visit.hang()

    with listening(twice) as server, fleet_to(server) as fleet:
        assert deliver_one(fleet).kind is Kind.NOT_HANDED_OVER
        assert [heard[:4] for heard in server.heard] == [b"EHLO", b"MAIL"]


@EVERY_WAY
def test_a_transaction_that_cannot_be_reset_is_not_built_upon(extension: bytes) -> None:
    rude = refusing(extension, **{"RCPT TO:<no": "550 5.1.1 No", "RSET": "502 5.5.1 What?"})
    with listening(rude) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(6, refused={1, 3}))
        assert {key for key, kind in kinds(ends).items() if kind is Kind.REJECTED} == {1, 3}
        assert numbers(server.bodies) == [0, 2, 4, 5]
        assert server.visits == 3


def test_a_letter_taken_back_ends_in_a_reset_and_not_in_an_end_of_file() -> None:
    ends: list[bytes | OSError] = []

    def lenient(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.some_body(len(LETTER.body))
        try:
            ends.append(visit.sock.recv(10))
        except OSError as fault:
            ends.append(fault)

    with listening(lenient) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, LETTER)
        until_ready(fleet, {1})
        time.sleep(0.25)
        fleet.drop(1)
        server.over.wait(0.1)
        assert [type(end) for end in ends] == [ConnectionResetError]
        assert (fleet.outstanding, fleet.ended()) == (0, [])


def test_a_trickle_of_bytes_does_not_stretch_the_patience(
    impatience: Callable[[float], None],
) -> None:
    def trickle(visit: Visit) -> None:
        while not visit.server.over.is_set():
            visit.drip(b"220-a\r\n", 0.01)

    impatience(0.15)
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
