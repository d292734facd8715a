"""Small bodies, which go with their dots: nothing is said before, and all of it at once."""

import socket
import threading
import time

import pytest

from crm.mail.smtp import Kind, Letter, Stage
from crm.mail.smtp.pipe import Pipe
from tests.mail.hostile import Script, Visit, listening, well_behaved
from tests.mail.visitor import (
    PADDING,
    deliver,
    fleet_to,
    hurry,
    kinds,
    letter,
    letters,
    narrow,
    numbers,
    seen,
    until_ready,
)

OK = b"250 2.0.0 Ok\r\n"
LARGEST = 65_536
FULL = letter(1, body=b"x" * (LARGEST - len(letter(1).body) - 2) + b"\r\n")
EVERY_WAY = pytest.mark.parametrize("extension", [b"PIPELINING", b"HELP"])


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.5)


def test_a_small_body_its_dot_and_the_next_envelope_arrive_together() -> None:
    heard: list[bytes] = []

    def reads_once(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        heard.append(visit.unread(0.1))
        heard.append(visit.sock.recv(100_000))
        visit.send(OK * 3 + b"354 Go\r\n")
        visit.body()
        visit.send(OK)
        visit.hang()

    with listening(reads_once) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        fleet.hand_in(2, letter(2))
        time.sleep(0.2)
        assert fleet.dot(1)
        ends = deliver(fleet, {}, also=(1, 2))
        assert kinds(ends) == {1: Kind.ACCEPTED, 2: Kind.ACCEPTED}
        assert heard[0] == b""
        assert heard[1].startswith(letter(1).body + b".\r\nMAIL FROM:<")
        assert heard[1].endswith(b"\r\nDATA\r\n")


@EVERY_WAY
@pytest.mark.parametrize("more", [b"451 4.3.0 Disk\r\n", b"550 5.0.0 No\r\n", b"250 Ok\r\n", b"?"])
@pytest.mark.parametrize("nth", [0, 1])
def test_a_server_that_goes_on_speaking_after_354_gets_no_dot(
    more: bytes, nth: int, extension: bytes
) -> None:
    def talkative(visit: Visit) -> None:
        visit.greet(extension)
        for number in range(nth + 1):
            visit.expect(b"MAIL", OK)
            visit.expect(b"RCPT", OK)
            visit.expect(b"DATA", b"354 Go\r\n" + (more if number == nth else b""))
            visit.body()
            visit.send(OK)

    with listening(talkative, well_behaved()) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(3))
        assert ends[nth].stage is Stage.DATA
        refusals = {b"4": Kind.LATER, b"5": Kind.REJECTED}
        assert ends[nth].kind is refusals.get(more[:1], Kind.NOT_HANDED_OVER)
        assert numbers(server.bodies) == sorted({0, 1, 2} - {nth})


@pytest.mark.parametrize("turns", [True, False])
def test_a_reset_between_354_and_the_dot_loses_nothing(turns: bool) -> None:
    ready = threading.Event()

    def resets(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        ready.wait(3)
        visit.reset()

    with listening(resets, well_behaved()) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        ready.set()
        time.sleep(0.1)
        if turns:
            fleet.turn(wait_s=0.1)
        assert not fleet.dot(1)
        assert not fleet.dot(1)
        ends = deliver(fleet, {2: letter(2)}, also=(1,))
        assert kinds(ends) == {1: Kind.NOT_HANDED_OVER, 2: Kind.ACCEPTED}
        assert numbers(server.bodies) == [2]


def watched_to_the_end(ends: list[bytes | OSError]) -> Script:
    """Return the script of a server that notes all that comes after 354, and how it ends."""

    def script(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        data = b"?"
        while data:
            try:
                ends.append(data := visit.sock.recv(1_000_000))
            except OSError as fault:
                ends.append(fault)
                return

    return script


def given_the_body_first(one: Letter, has_flowed: threading.Event) -> Script:
    """Return the script of a server that gets a body before its dot, and says so."""

    def script(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.some_body(len(one.body))
        has_flowed.set()
        visit.body()
        visit.send(OK)
        visit.serve()

    return script


@pytest.mark.parametrize("how", ["drop", "close"])
def test_a_letter_taken_back_after_354_shows_the_server_nothing_but_a_reset(how: str) -> None:
    ends: list[bytes | OSError] = []
    with listening(watched_to_the_end(ends)) as server:
        with fleet_to(server) as fleet:
            fleet.hand_in(1, letter(1))
            until_ready(fleet, {1})
            if how == "drop":
                fleet.drop(1)
                assert (fleet.outstanding, fleet.ended()) == (0, [])
            fleet.close()
        assert kinds(dict(fleet.ended())) == ({} if how == "drop" else {1: Kind.NOT_HANDED_OVER})
        server.over.wait(0.1)
        assert [type(end) for end in ends] == [ConnectionResetError]


def test_a_kernel_that_does_not_take_a_body_whole_is_not_asked_to_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[bytes | OSError] = []
    has_flowed = threading.Event()
    scripts = watched_to_the_end(ends), given_the_body_first(letter(2), has_flowed)
    with listening(*scripts) as server, fleet_to(server) as fleet:
        with seen(monkeypatch) as socks:
            fleet.hand_in(1, FULL)
            until_ready(fleet, {1})
        fleet.hand_in(2, letter(2))
        socks[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        assert not fleet.dot(1)
        until_ready(fleet, {2})
        assert has_flowed.wait(1)
        assert fleet.dot(2)
        verdicts = deliver(fleet, {3: FULL}, also=(1, 2))
        assert kinds(verdicts) == {1: Kind.NOT_HANDED_OVER, 2: Kind.ACCEPTED, 3: Kind.ACCEPTED}
        assert verdicts[1].stage is Stage.DATA
        assert verdicts[1].text == "The relay does not read what it is sent."
        assert numbers(server.bodies) == [2, 1]
        assert isinstance(ends.pop(), ConnectionResetError)
        heard = b"".join(end for end in ends if isinstance(end, bytes))
        assert FULL.body.startswith(heard)


def test_where_a_kernel_has_little_room_bodies_are_not_withheld(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow(monkeypatch)
    has_flowed, one = threading.Event(), letter(1, body=b"x" * 2000 + b"\r\n")
    with listening(given_the_body_first(one, has_flowed)) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, one)
        until_ready(fleet, {1})
        assert has_flowed.wait(1)
        assert server.bodies == []
        assert kinds(deliver(fleet, {}, also=(1,))) == {1: Kind.ACCEPTED}


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (b"", Kind.UNCERTAIN),
        (b"55", Kind.UNCERTAIN),
        (b"552 5.3.4 Too big\r\n", Kind.REJECTED),
        (b"421 4.3.2 Closing\r\n", Kind.LATER),
    ],
)
def test_a_server_that_stops_in_the_middle_of_a_small_body_has_its_dot_coming(
    last: bytes, kind: Kind
) -> None:
    def stops(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.sock.recv(500)
        visit.send(last)
        visit.sock.shutdown(socket.SHUT_WR)
        visit.server.over.wait(0.2)

    with listening(stops, well_behaved()) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, {1: FULL, 2: letter(2)})
        assert (ends[1].kind, ends[1].stage) == (kind, Stage.DOT)
        assert ends[2].kind is Kind.ACCEPTED
        assert numbers(server.bodies) == [2]


@pytest.mark.parametrize("short", range(-3, 3))
def test_a_body_counts_as_handed_over_from_the_last_octet_of_its_dot(
    short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grudging(pipe: Pipe, body: bytes, end: bytes) -> int:
        return pipe.send((body + end)[: len(body) + len(b".\r\n") + short])

    monkeypatch.setattr(Pipe, "send_with", grudging)
    with listening(well_behaved(b"PIPELINING")) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        fleet.hand_in(2, letter(2))
        assert fleet.dot(1) is (short >= 0)
        monkeypatch.undo()
        ends = deliver(fleet, {}, also=(1, 2))
        assert ends[1].kind is (Kind.ACCEPTED if short >= 0 else Kind.NOT_HANDED_OVER)
        assert ends[2].kind is Kind.ACCEPTED
        assert numbers(server.bodies) == ([1, 2] if short >= 0 else [2])


def test_small_and_large_bodies_take_turns_on_a_line() -> None:
    sizes = [b"", PADDING, b"", b"", PADDING, PADDING, b""]
    cargo = {number: letter(number, body=size) for number, size in enumerate(sizes)}
    with listening(well_behaved(b"PIPELINING")) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, cargo)
        assert set(kinds(ends).values()) == {Kind.ACCEPTED}
        assert server.bodies == [each.body for each in cargo.values()]


@pytest.mark.parametrize("segment", [0, 1220, 536, 216])
def test_a_server_that_does_not_read_keeps_no_dot_of_a_small_body_waiting(segment: int) -> None:
    def deaf(visit: Visit) -> None:
        visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.server.over.wait(0.3)
        visit.body()
        visit.send(OK)
        visit.serve()

    with listening(deaf, segment=segment) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, FULL)
        until_ready(fleet, {1})
        fleet.hand_in(2, letter(2))
        assert fleet.dot(1)
        ends = deliver(fleet, {}, also=(1, 2))
        assert kinds(ends) == {1: Kind.ACCEPTED, 2: Kind.ACCEPTED}
        assert server.bodies[0] == FULL.body
        assert server.visits == 1
