"""Between 354 and the dot: bodies that are interrupted, slowly read, or taken back."""

import threading
import time

import pytest

from crm.mail.smtp import Kind, Letter, Stage
from crm.mail.smtp.pipe import Pipe
from tests.mail.hostile import Visit, listening, well_behaved
from tests.mail.visitor import (
    PADDING,
    deliver,
    deliver_one,
    fleet_to,
    hurry,
    kinds,
    letter,
    narrow,
    numbers,
    until_ready,
)

WITHHELD_OR_NOT = pytest.mark.parametrize("padding", [b"", PADDING], ids=["withheld", "poured"])


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.5)


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
@WITHHELD_OR_NOT
def test_an_answer_before_the_dot_forbids_it(
    answer: bytes, kind: Kind, turns: bool, padding: bytes
) -> None:
    ready = threading.Event()

    def hasty(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        ready.wait(3)
        visit.send(answer)
        if answer:
            visit.hang()

    with listening(hasty) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1, body=padding))
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
def test_a_body_that_is_hardly_read_ends_in_time(sip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        while not visit.server.over.wait(0.02):
            visit.sock.recv(sip)

    hurry(monkeypatch, 0.15)
    huge = letter(1, body=b"x" * 20_000_000 + b"\r\n")
    with listening(deaf) as server, fleet_to(server) as fleet:
        begun = time.monotonic()
        assert deliver_one(fleet, huge).kind is Kind.NOT_HANDED_OVER
        assert time.monotonic() - begun < 1.5


def test_a_body_that_is_slowly_read_is_borne_as_long_as_it_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sips(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        for _ in range(10):
            time.sleep(0.05)
            visit.sock.recv(800_000)
        visit.server.over.wait()

    hurry(monkeypatch, 0.2)
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
        fleet.hand_in(1, letter(1, body=PADDING))
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


def test_a_letter_taken_back_ends_in_a_reset_and_not_in_an_end_of_file() -> None:
    ends: list[bytes | OSError] = []

    def lenient(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.some_body(len(PADDING))
        try:
            ends.append(visit.sock.recv(10))
        except OSError as fault:
            ends.append(fault)

    with listening(lenient) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1, body=PADDING))
        until_ready(fleet, {1})
        time.sleep(0.25)
        fleet.drop(1)
        server.over.wait(0.1)
        assert [type(end) for end in ends] == [ConnectionResetError]
        assert (fleet.outstanding, fleet.ended()) == (0, [])
