"""A window of letters over kept lines, from offer to reply."""

import time

import pytest

from crm.mail.smtp import Kind, Letter, dot, drop, offer, replies
from tests.mail.hostile import BODY, LETTER, Visit, listening, refusing, well_behaved
from tests.mail.lines import hand_over, lines_to, no_beat, verdict_of


def test_a_letter_is_handed_over_by_its_dot() -> None:
    with listening(well_behaved()) as server, lines_to(server) as [line]:
        offer([(line, LETTER)], timeout_s=3, beat=no_beat)
        assert line.ready
        time.sleep(0.05)
        assert server.bodies == []
        assert dot(line)
        assert line.dotted
        replies([line], timeout_s=3, beat=no_beat)
        assert verdict_of(line).kind is Kind.ACCEPTED
        assert (verdict_of(line).code, verdict_of(line).enhanced) == (250, "2.0.0")
        assert verdict_of(line).text == "Ok: queued"
        assert server.bodies == [BODY]


def test_a_dropped_letter_never_arrives() -> None:
    with listening(well_behaved()) as server, lines_to(server) as [line]:
        offer([(line, LETTER)], timeout_s=3, beat=no_beat)
        drop(line)
        assert not line.ready
        assert not dot(line)
        assert hand_over(line)
        assert server.bodies == [BODY]
        assert server.visits == 2


def test_a_window_costs_four_round_trips_whatever_its_size() -> None:
    delay_s = 0.1
    with listening(well_behaved(delay_s=delay_s)) as server, lines_to(server, 20) as lines:
        pairs = [(line, LETTER) for line in lines]
        offer(pairs, timeout_s=8, beat=no_beat)
        for line in lines:
            drop(line)
        offer(pairs, timeout_s=8, beat=no_beat)
        assert all(dot(line) for line in lines)
        replies(lines, timeout_s=8, beat=no_beat)
        begun = time.monotonic()
        offer(pairs, timeout_s=8, beat=no_beat)
        assert all(dot(line) for line in lines)
        replies(lines, timeout_s=8, beat=no_beat)
        took = time.monotonic() - begun
        assert all(verdict_of(line).kind is Kind.ACCEPTED for line in lines)
        assert 4 * delay_s <= took < 12 * delay_s
        assert len(server.bodies) == 40


def test_a_line_takes_its_leave_after_a_hundred_letters() -> None:
    with listening(well_behaved()) as server, lines_to(server) as [line]:
        for _ in range(100):
            assert hand_over(line)
        assert server.visits == 1
        assert hand_over(line)
        assert server.visits == 2
        assert server.heard.count(b"QUIT") == 1
        assert len(server.bodies) == 101


def test_closing_says_quit() -> None:
    with listening(well_behaved()) as server:
        with lines_to(server, 3) as lines:
            for line in lines:
                assert hand_over(line)
        assert server.heard.count(b"QUIT") == 3


def test_a_line_that_the_server_closed_while_it_rested_is_opened_again() -> None:
    def one_letter(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.body()
        visit.send(b"250 Ok\r\n421 4.4.2 idle too long\r\n")

    with listening(one_letter) as server, lines_to(server) as [line]:
        for _ in range(3):
            assert hand_over(line)
            assert verdict_of(line).kind is Kind.ACCEPTED
            time.sleep(0.02)
        assert server.visits == 3


def test_a_kept_line_closed_at_the_next_command_is_opened_again() -> None:
    def one_letter(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.body()
        visit.send(b"250 Ok\r\n")
        visit.line()
        visit.reset()

    with listening(one_letter, well_behaved()) as server, lines_to(server) as [line]:
        assert hand_over(line)
        assert hand_over(line)
        assert verdict_of(line).kind is Kind.ACCEPTED
        assert server.visits == 2


@pytest.mark.parametrize("code", ["451 4.2.1", "550 5.1.1"])
def test_a_line_lives_on_after_a_refused_recipient(code: str) -> None:
    with (
        listening(refusing(**{"RCPT TO:<no": f"{code} Not now"})) as server,
        lines_to(server) as [line],
    ):
        refused = Letter("news@clinic.test", "no.body@patient.test", BODY)
        for letter, kind in ((refused, None), (LETTER, Kind.ACCEPTED), (refused, None)):
            hand_over(line, letter)
            expected = kind or (Kind.LATER if code[0] == "4" else Kind.REJECTED)
            assert verdict_of(line).kind is expected
        assert verdict_of(line).enhanced == code[4:]
        assert not verdict_of(line).relay_wide
        assert server.visits == 1
        assert b"RSET" in server.heard
        assert len(server.bodies) == 1


def test_a_stuck_line_does_not_hold_up_the_others() -> None:
    def stuck(visit: Visit) -> None:
        visit.greet()
        visit.expect(b"MAIL", b"")
        visit.hang()

    with listening(stuck, well_behaved()) as server, lines_to(server, 4) as lines:
        offer([(line, LETTER) for line in lines], timeout_s=0.5, beat=no_beat)
        assert sorted(dot(line) for line in lines) == [False, True, True, True]
        replies(lines, timeout_s=3, beat=no_beat)
        kinds = sorted(verdict_of(line).kind for line in lines)
        assert kinds == [Kind.ACCEPTED] * 3 + [Kind.NOT_HANDED_OVER]


def test_a_letter_larger_than_the_relay_takes_is_refused_here() -> None:
    with listening(well_behaved(b"SIZE 1000")) as server, lines_to(server) as [line]:
        large = Letter("news@clinic.test", "anna@patient.test", b"x" * 1000 + b"\r\n")
        assert not hand_over(line, large)
        assert (verdict_of(line).kind, verdict_of(line).code) == (Kind.REJECTED, 552)
        assert not any(command.startswith(b"MAIL") for command in server.heard)
        assert hand_over(line)
        assert b"MAIL FROM:<news@clinic.test> SIZE=%d" % len(BODY) in server.heard


@pytest.mark.parametrize("extensions", [(b"8BITMIME",), (b"PIPELINING",)])
def test_eight_bits_go_only_where_they_are_taken(extensions: tuple[bytes, ...]) -> None:
    with listening(well_behaved(*extensions)) as server, lines_to(server) as [line]:
        letter = Letter("", "anna@patient.test", "Добрый день\r\n".encode())
        taken = b"8BITMIME" in extensions
        assert hand_over(line, letter) is taken
        assert (b"MAIL FROM:<> BODY=8BITMIME" in server.heard) is taken
        assert verdict_of(line).kind is (Kind.ACCEPTED if taken else Kind.REJECTED)


def test_a_large_body_goes_through_whole() -> None:
    body = b"\r\n".join([b"x" * 70] * 60_000) + b"\r\n"
    with listening(well_behaved()) as server, lines_to(server) as [line]:
        assert hand_over(line, Letter("news@clinic.test", "anna@patient.test", body), timeout_s=8)
        assert server.bodies == [body]


def test_the_beat_goes_on_while_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.body()
        visit.hang()

    monkeypatch.setattr("crm.mail.smtp.wait.BEAT_EVERY_S", 0.1)
    beats: list[float] = []
    with listening(silent) as server, lines_to(server) as [line]:
        offer([(line, LETTER)], timeout_s=3, beat=no_beat)
        assert dot(line)
        replies([line], timeout_s=0.65, beat=lambda: beats.append(time.monotonic()))
        assert verdict_of(line).kind is Kind.UNCERTAIN
    assert 2 <= len(beats) <= 7


def test_a_beat_that_raises_leaves_no_body_behind_and_no_dot_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class LeaseLostError(Exception):
        pass

    def lost() -> None:
        raise LeaseLostError

    def slow(visit: Visit) -> None:
        visit.greet()
        visit.envelope()
        visit.body()
        time.sleep(0.3)
        visit.send(b"250 Ok\r\n")
        visit.hang()

    monkeypatch.setattr("crm.mail.smtp.wait.BEAT_EVERY_S", 0.05)
    with listening(slow, lambda visit: visit.hang()) as server, lines_to(server, 2) as [line, dead]:
        offer([(line, LETTER)], timeout_s=3, beat=no_beat)
        assert dot(line)
        with pytest.raises(LeaseLostError):
            replies([line], timeout_s=3, beat=lost)
        assert line.dotted
        replies([line], timeout_s=3, beat=no_beat)
        assert verdict_of(line).kind is Kind.ACCEPTED
        with pytest.raises(LeaseLostError):
            offer([(dead, LETTER)], timeout_s=3, beat=lost)
        assert not dead.ready


def test_an_answer_not_gathered_is_not_forgotten() -> None:
    with listening(well_behaved()) as server, lines_to(server) as [line]:
        offer([(line, LETTER)], timeout_s=3, beat=no_beat)
        assert dot(line)
        with pytest.raises(ValueError, match="gather the replies"):
            offer([(line, LETTER)], timeout_s=3, beat=no_beat)
        drop(line)
        assert verdict_of(line).kind is Kind.UNCERTAIN


@pytest.mark.parametrize(
    "address", ["a\r\nDATA@b.test", "<a@b.test", "a@b.test>", "a b@c.test", "", "я@b.test", "a\0@b"]
)
def test_an_address_cannot_break_out_of_its_command(address: str) -> None:
    with pytest.raises(ValueError, match=r"^The recipient's address cannot"):
        Letter("news@clinic.test", address, BODY)
    if address:
        with pytest.raises(ValueError, match=r"^The sender's address cannot"):
            Letter(address, "anna@patient.test", BODY)


@pytest.mark.parametrize(
    "body",
    [b"", b"no end", b".\r\n", b"a\r\n.\r\nb\r\n", b"a\n.\nb\r\n", b"a\n.\r\n", b"a\r\n.\n\r\n"],
)
def test_a_body_cannot_end_itself(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^A body must"):
        Letter("news@clinic.test", "anna@patient.test", body)
