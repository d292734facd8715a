"""Whatever a server does: a verdict in time, uncertain if and only if a dot is unanswered."""

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.mail.smtp import Kind, Letter, dot, drop, offer, replies
from tests.mail.hostile import LETTER, Gone, Script, Visit, listening, refusing, well_behaved
from tests.mail.lines import hand_over, lines_to, no_beat, verdict_of

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


def failing_at(step: str, act: Callable[[Visit], None]) -> Script:
    """Return a script that behaves until `step` and then does `act` instead of answering."""

    def script(visit: Visit) -> None:
        if step == "greeting":
            return act(visit)
        visit.send(b"220 relay.test\r\n")
        for command, answer in (("EHLO", OK), ("MAIL", OK), ("RCPT", OK), ("DATA", b"354 Go\r\n")):
            if command == step:
                visit.line()
                return act(visit)
            visit.expect(command.encode(), answer)
        visit.body()
        return act(visit)

    return script


def saying(data: bytes) -> Callable[[Visit], None]:
    """Return an act: say it and fall silent."""

    def act(visit: Visit) -> None:
        visit.send(data)
        visit.hang()

    return act


@pytest.mark.parametrize("data", BROKEN)
@pytest.mark.parametrize("step", STEPS)
def test_a_broken_answer_is_uncertain_only_after_the_dot(step: str, data: bytes) -> None:
    if step == "DATA" and data.startswith(b"354"):
        data = b"250 Ok\r\n"
    with listening(failing_at(step, saying(data))) as server, lines_to(server) as [line]:
        begun = time.monotonic()
        dotted = hand_over(line, timeout_s=0.15)
        assert time.monotonic() - begun < 1.5
        assert dotted is (step == "dot")
        assert verdict_of(line).kind is (Kind.UNCERTAIN if dotted else Kind.NOT_HANDED_OVER)
        assert verdict_of(line).relay_wide is not dotted


@pytest.mark.parametrize("act", [lambda visit: None, Visit.reset], ids=["close", "reset"])
@pytest.mark.parametrize("step", STEPS)
def test_a_closed_connection_is_uncertain_only_after_the_dot(
    step: str, act: Callable[[Visit], None]
) -> None:
    with listening(failing_at(step, act)) as server, lines_to(server) as [line]:
        dotted = hand_over(line)
        assert dotted is (step == "dot")
        assert verdict_of(line).kind is (Kind.UNCERTAIN if dotted else Kind.NOT_HANDED_OVER)
        assert "connection" in verdict_of(line).text.lower()


@pytest.mark.parametrize("code", ["421 4.3.2", "451 4.7.1", "550 5.1.1"])
@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_is_told_apart_by_its_step(step: str, code: str) -> None:
    act = saying(f"{code} No, not now\r\n".encode())
    with listening(failing_at(step, act)) as server, lines_to(server) as [line]:
        assert hand_over(line, timeout_s=0.2) is (step == "dot")
        verdict = verdict_of(line)
        if step in {"greeting", "EHLO"}:
            assert verdict.kind is Kind.NOT_HANDED_OVER
        else:
            assert verdict.kind is (Kind.LATER if code[0] == "4" else Kind.REJECTED)
            assert (verdict.code, verdict.enhanced) == (int(code[:3]), code[4:])
            assert verdict.text == "No, not now"
        assert verdict.relay_wide is (step in {"greeting", "EHLO", "MAIL"} or code[:3] == "421")


def test_replies_in_many_lines_and_single_bytes_are_understood() -> None:
    def fragments(visit: Visit) -> None:
        visit.drip(b"220-welcome\r\n220 relay.test\r\n")
        visit.line()
        visit.drip(b"250-relay.test\r\n250-SIZE 100000\r\n250 HELP\r\n")
        for end in (b"250 ok\r\n", b"250\r\n", b"354 go\r\n"):
            visit.line()
            visit.drip(end[:3] + b"-first\r\n" + end[:3] + b"-\r\n" + end)
        visit.body()
        visit.drip(b"250-2.0.0 taken\r\n250 2.0.0 queued as 1\r\n")
        visit.hang()

    with listening(fragments) as server, lines_to(server) as [line]:
        assert hand_over(line)
        assert verdict_of(line).kind is Kind.ACCEPTED
        assert verdict_of(line).text == "taken queued as 1"
        assert b"MAIL FROM:<news@clinic.test> SIZE=29" in server.heard


def test_a_server_that_leaves_before_the_dot_gets_none() -> None:
    def leaves(visit: Visit) -> None:
        visit.greet()
        visit.envelope()

    with listening(leaves) as server, lines_to(server) as [line]:
        assert not hand_over(line, look_s=0.05)
        assert verdict_of(line).kind is Kind.NOT_HANDED_OVER


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"552 5.3.4 Too big\r\n", Kind.REJECTED),
        (b"452 4.3.1 Full\r\n", Kind.LATER),
        (b"421 4.3.2 Closing\r\n", Kind.LATER),
        (b"250 2.0.0 Taken already\r\n", Kind.NOT_HANDED_OVER),
        (b"ha", Kind.NOT_HANDED_OVER),
    ],
)
def test_an_answer_before_the_dot_forbids_it(answer: bytes, kind: Kind) -> None:
    def hasty(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.send(answer)
        visit.hang()

    with listening(hasty) as server, lines_to(server) as [line]:
        assert not hand_over(line, look_s=0.05)
        assert verdict_of(line).kind is kind
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
        visit.greet()
        visit.envelope()
        visit.some_body(1000)
        visit.send(last)
        if last:
            visit.server.over.wait(0.5)
        visit.reset()

    huge = Letter("news@clinic.test", "anna@patient.test", b"x" * 20_000_000 + b"\r\n")
    with listening(stops) as server, lines_to(server) as [line]:
        assert not hand_over(line, huge)
        assert verdict_of(line).kind is kind


def test_a_body_that_is_not_read_ends_at_the_deadline() -> None:
    def deaf(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.server.over.wait()

    huge = Letter("news@clinic.test", "anna@patient.test", b"x" * 20_000_000 + b"\r\n")
    with listening(deaf) as server, lines_to(server) as [line]:
        begun = time.monotonic()
        assert not hand_over(line, huge, timeout_s=0.3)
        assert time.monotonic() - begun < 1
        assert verdict_of(line).kind is Kind.NOT_HANDED_OVER


def test_a_server_that_answers_twice_is_not_believed() -> None:
    def twice(visit: Visit) -> None:
        visit.greet()
        visit.line()
        visit.send(OK + OK)
        visit.hang()

    with listening(twice) as server, lines_to(server) as [line]:
        assert not hand_over(line)
        assert verdict_of(line).kind is Kind.NOT_HANDED_OVER
        assert [heard[:4] for heard in server.heard] == [b"EHLO", b"MAIL"]


@pytest.mark.parametrize("pause_s", [0, 0.03])
def test_a_second_answer_to_a_dot_is_not_the_next_letters(pause_s: float) -> None:
    def twice(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.body()
        visit.send(OK)
        time.sleep(pause_s)
        visit.send(OK)
        visit.hang()

    with listening(twice, refusing(MAIL="550 No")) as server, lines_to(server) as [line]:
        assert hand_over(line)
        time.sleep(2 * pause_s + 0.02)
        assert not hand_over(line)
        assert verdict_of(line).kind is Kind.REJECTED


def test_a_transaction_that_cannot_be_reset_is_not_built_upon() -> None:
    rude = refusing(**{"RCPT TO:<no": "550 5.1.1 No", "RSET": "502 5.5.1 What?"})
    refused = Letter("news@clinic.test", "no@patient.test", b"Hello\r\n")
    with listening(rude) as server, lines_to(server) as [line]:
        assert not hand_over(line, refused)
        assert hand_over(line)
        assert verdict_of(line).kind is Kind.ACCEPTED
        assert server.visits == 2


def test_a_letter_taken_back_ends_in_a_reset_and_not_in_an_end_of_file() -> None:
    ends: list[bytes | OSError] = []

    def lenient(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.some_body(len(LETTER.body))
        try:
            ends.append(visit.sock.recv(10))
        except OSError as fault:
            ends.append(fault)

    with listening(lenient) as server, lines_to(server) as [line]:
        offer([(line, LETTER)], timeout_s=3, beat=no_beat)
        drop(line)
        server.over.wait(0.1)
        assert [type(end) for end in ends] == [ConnectionResetError]


def test_the_dot_of_a_large_body_finds_room_behind_it() -> None:
    def slow(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        server.over.wait(0.2)
        visit.body()
        visit.send(OK)
        visit.hang()

    huge = Letter("news@clinic.test", "anna@patient.test", (b"x" * 70 + b"\r\n") * 100_000)
    with listening(slow) as server, lines_to(server) as [line]:
        assert hand_over(line, huge, timeout_s=8)
        assert verdict_of(line).kind is Kind.ACCEPTED


def test_a_trickle_of_bytes_does_not_stretch_the_deadline() -> None:
    def trickle(visit: Visit) -> None:
        while not visit.server.over.is_set():
            visit.drip(b"220-a\r\n", 0.01)

    with listening(trickle) as server, lines_to(server) as [line]:
        begun = time.monotonic()
        assert not hand_over(line, timeout_s=0.3)
        assert time.monotonic() - begun < 1
        assert verdict_of(line).kind is Kind.NOT_HANDED_OVER


def test_a_farewell_takes_a_second_at_most() -> None:
    def clinging(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.body()
        visit.send(OK)
        visit.server.over.wait()

    with listening(clinging) as server:
        with lines_to(server, 3) as lines:
            for line in lines:
                assert hand_over(line)
            begun = time.monotonic()
        assert 0.9 < time.monotonic() - begun < 2


Act = tuple[str, bytes]

ACTS: st.SearchStrategy[Act] = st.one_of(
    st.just(("good", b"")),
    st.just(("good", b"")),
    st.just(("drip", b"")),
    st.sampled_from(["drop", "reset", "hang"]).map(lambda name: (name, b"")),
    st.binary(max_size=40).map(lambda data: ("say", data)),
    st.sampled_from(
        [b"421 bye\r\n", b"451 later\r\n", b"550 no\r\n", b"250 a\r\n250 b\r\n", b"354 x\r\n", b"2"]
    ).map(lambda data: ("say", data)),
)


def answer(visit: Visit, good: bytes, act: Act) -> None:
    """Answer in the drawn way."""
    name, data = act
    if name == "drop":
        raise Gone
    if name == "reset":
        visit.reset()
    if name == "hang":
        visit.hang()
    if name == "drip":
        visit.drip(good[:3] + b"-well\r\n")
    visit.send(data if name == "say" else good)


def moody(acts: list[Act]) -> Script:
    """Return the script of a server that answers as drawn, one act per command."""

    def script(visit: Visit) -> None:
        answer(visit, b"220 hi\r\n", acts[0])
        for act in acts[1:]:
            if visit.line() == b"DATA":
                answer(visit, b"354 go\r\n", act)
                visit.body()
            answer(visit, OK, act)
        visit.hang()

    return script


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(visits=st.lists(st.lists(ACTS, min_size=3, max_size=9), min_size=1, max_size=3))
def test_whatever_a_server_does_nothing_raises_and_nothing_hangs(visits: list[list[Act]]) -> None:
    scripts = [moody(acts) for acts in visits]
    with listening(*scripts, well_behaved()) as server, lines_to(server, len(visits)) as lines:
        for _ in range(2):
            taken = len(server.bodies)
            begun = time.monotonic()
            offer([(line, LETTER) for line in lines], timeout_s=0.1, beat=no_beat)
            assert all(line.ready is (line.verdict is None) for line in lines)
            dotted = {line for line in lines if dot(line)}
            replies(lines, timeout_s=0.1, beat=no_beat)
            assert time.monotonic() - begun < 1.5
            ends = {
                kind: {line for line in lines if verdict_of(line).kind is kind} for kind in Kind
            }
            assert ends[Kind.UNCERTAIN] | ends[Kind.ACCEPTED] <= dotted
            assert not ends[Kind.NOT_HANDED_OVER] & dotted
            assert len(server.bodies) - taken >= len(ends[Kind.ACCEPTED])
