"""Letters handed over by a fleet of lines: one dot each, one end each."""

import time

import pytest

from crm.mail.smtp import Fleet, Kind, Letter, Relay, Stage
from tests.mail.hostile import Gone, Visit, listening, refusing, well_behaved
from tests.mail.visitor import (
    LETTER,
    deliver,
    deliver_one,
    fleet_to,
    kinds,
    letter,
    letters,
    numbers,
    until_ready,
)

EIGHT_BITS = Letter("", "anna@patient.test", "Добрый день\r\n".encode())
EVERY_WAY = pytest.mark.parametrize("extensions", [(b"PIPELINING",), ()], ids=["piped", "stepwise"])


@EVERY_WAY
def test_a_letter_is_handed_over_by_its_dot(extensions: tuple[bytes, ...]) -> None:
    with listening(well_behaved(*extensions)) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, LETTER)
        until_ready(fleet, {1})
        time.sleep(0.3)
        assert server.bodies == []
        assert fleet.dot(1)
        assert not fleet.dot(1)
        verdict = deliver(fleet, {}, also=(1,))[1]
        assert (verdict.kind, verdict.code, verdict.enhanced) == (Kind.ACCEPTED, 250, "2.0.0")
        assert (verdict.text, verdict.stage) == ("Ok: queued", Stage.DOT)
        assert server.bodies == [LETTER.body]


@EVERY_WAY
def test_dropped_letters_never_arrive_and_the_others_do(extensions: tuple[bytes, ...]) -> None:
    cargo = letters(40)
    dropped = set(range(0, 40, 2))
    with listening(well_behaved(*extensions)) as server, fleet_to(server, 4) as fleet:
        ends = deliver(fleet, cargo, drop=dropped)
        assert set(ends) == set(cargo) - dropped
        assert set(kinds(ends).values()) == {Kind.ACCEPTED}
        assert sorted(numbers(server.bodies)) == sorted(ends)


def test_a_letter_can_be_taken_back_wherever_it_is() -> None:
    with listening(well_behaved(b"PIPELINING", delay_s=0.05)) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        fleet.hand_in(2, letter(2))
        assert fleet.dot(1)
        fleet.hand_in(3, letter(3))
        fleet.drop(2)
        fleet.drop(3)
        fleet.drop(4)
        fleet.hand_in(2, letter(22))
        ends = deliver(fleet, {5: letter(5)}, also=(1, 2))
        assert kinds(ends) == dict.fromkeys((1, 2, 5), Kind.ACCEPTED)
        assert numbers(server.bodies) == [1, 22, 5]


def test_a_letter_dropped_after_its_dot_is_uncertain_and_its_follower_goes_again() -> None:
    def slow(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.body()
        visit.hang()

    with listening(slow, well_behaved(b"PIPELINING")) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        fleet.hand_in(2, letter(2))
        assert fleet.dot(1)
        fleet.drop(1)
        ends = deliver(fleet, {}, also=(1, 2))
        assert kinds(ends) == {1: Kind.UNCERTAIN, 2: Kind.ACCEPTED}
        assert server.visits == 2


def test_the_next_envelope_rides_behind_the_dot() -> None:
    def in_one_breath(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        for last in (False, True):
            visit.body()
            rest = visit.unread()
            if not last:
                assert rest.startswith(b"MAIL FROM:")
                assert rest.endswith(b"\r\nDATA\r\n")
                visit.send(b"250 Ok\r\n")
                visit.envelope()
        visit.send(b"250 Ok\r\n")
        visit.hang()

    with listening(in_one_breath) as server, fleet_to(server) as fleet:
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        ends = deliver(fleet, {2: letter(2)}, also=(1,))
        assert kinds(ends) == {1: Kind.ACCEPTED, 2: Kind.ACCEPTED}
        assert numbers(server.bodies) == [1, 2]


def test_one_command_at_a_time_where_pipelining_is_not_offered() -> None:
    def listens_after_each(visit: Visit) -> None:
        visit.greet(b"SIZE 10000")
        for _ in range(3):
            for answer in (b"250 Ok\r\n", b"250 Ok\r\n", b"354 Go\r\n"):
                visit.line()
                assert visit.unread() == b""
                visit.send(answer)
            visit.body()
            assert visit.unread() == b""
            visit.send(b"250 Ok\r\n")
        visit.hang()

    with listening(listens_after_each) as server, fleet_to(server) as fleet:
        assert set(kinds(deliver(fleet, letters(3))).values()) == {Kind.ACCEPTED}
        assert numbers(server.bodies) == [0, 1, 2]


@EVERY_WAY
def test_a_line_takes_its_leave_after_a_hundred_letters(extensions: tuple[bytes, ...]) -> None:
    refused = set(range(7, 300, 10))
    script = refusing(*extensions, **{"RCPT TO:<no": "550 5.1.1 No such user"})
    with listening(script) as server, fleet_to(server, 2) as fleet:
        ends = deliver(fleet, letters(300, refused=refused))
        assert {key for key, kind in kinds(ends).items() if kind is Kind.REJECTED} == refused
        assert sorted(numbers(server.bodies)) == sorted(set(range(300)) - refused)
        assert server.visits in (3, 4)
    assert server.heard.count(b"QUIT") == server.visits
    assert server.heard.count(b"RSET") >= len(refused) - server.visits


@EVERY_WAY
@pytest.mark.parametrize("code", ["451 4.2.1", "550 5.1.1"])
def test_a_refused_recipient_harms_nobody_else(extensions: tuple[bytes, ...], code: str) -> None:
    refused = {0, 3, 4, 9}
    script = refusing(*extensions, **{"RCPT TO:<no": f"{code} Not now, no3"})
    with listening(script) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(10, refused=refused))
        for key, verdict in ends.items():
            if key in refused:
                assert verdict.kind is (Kind.LATER if code[0] == "4" else Kind.REJECTED)
                assert (verdict.enhanced, verdict.stage) == (code[4:], Stage.RCPT)
                assert verdict.text == ("Not now, ***" if key == 3 else "Not now, no3")
                assert not verdict.relay_wide
            else:
                assert verdict.kind is Kind.ACCEPTED
        assert numbers(server.bodies) == [1, 2, 5, 6, 7, 8]
        assert server.visits == 1


@EVERY_WAY
def test_a_refused_letter_harms_nobody_else(extensions: tuple[bytes, ...]) -> None:
    script = refusing(*extensions, dot="554 5.7.1 Spam")
    with listening(script) as server, fleet_to(server, 2) as fleet:
        ends = deliver(fleet, letters(10))
        assert {(end.kind, end.stage) for end in ends.values()} == {(Kind.REJECTED, Stage.DOT)}
        assert server.visits == 2
        assert len(server.bodies) == 10


def test_a_refused_sender_is_the_relays_word_on_all() -> None:
    with listening(refusing(b"PIPELINING", MAIL="550 No")) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, letters(5))
        seen = {(end.kind, end.relay_wide, end.stage) for end in ends.values()}
        assert seen == {(Kind.REJECTED, True, Stage.MAIL)}
        assert server.visits == 1


def test_room_is_for_as_many_as_there_are_lines() -> None:
    with listening(well_behaved(b"PIPELINING")) as server, fleet_to(server, 3) as fleet:
        for key in range(3):
            assert fleet.room == 3 - key
            fleet.hand_in(key, letter(key))
        with pytest.raises(ValueError, match="full"):
            fleet.hand_in(3, letter(3))
        until_ready(fleet, {0, 1, 2})
        assert (fleet.room, fleet.outstanding) == (3, 3)
        with pytest.raises(ValueError, match="aboard"):
            fleet.hand_in(0, letter(0))
        deliver(fleet, letters(9, first=3), also=(0, 1, 2))
        assert server.visits == 3


def test_eight_bits_go_only_where_they_are_taken() -> None:
    scripts = well_behaved(b"8BITMIME"), well_behaved(b"PIPELINING"), well_behaved(b"8BITMIME")
    with listening(*scripts) as server, fleet_to(server) as fleet:
        assert not fleet.eight_bit
        for taken in (True, False, True):
            verdict = deliver_one(fleet, EIGHT_BITS)
            assert fleet.eight_bit is taken
            assert verdict.kind is (Kind.ACCEPTED if taken else Kind.NOT_HANDED_OVER)
            assert not verdict.relay_wide
            assert deliver_one(fleet).kind is Kind.ACCEPTED
            fleet.hand_in(2, letter(2))
            until_ready(fleet, {2})
            fleet.drop(2)
        assert server.heard.count(b"MAIL FROM:<> BODY=8BITMIME") == 2


def test_a_letter_larger_than_the_relay_takes_is_refused_here() -> None:
    cargo = {1: letter(1), 2: letter(2, body=b"x" * 1000 + b"\r\n"), 3: letter(3)}
    with listening(well_behaved(b"PIPELINING", b"SIZE 1000")) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, cargo)
        assert (ends[2].kind, ends[2].code, ends[2].stage) == (Kind.REJECTED, 552, Stage.MAIL)
        assert numbers(server.bodies) == [1, 3]
        assert b"MAIL FROM:<news@clinic.test> SIZE=%d" % len(cargo[1].body) in server.heard


def test_a_relay_that_is_away_costs_one_attempt_and_not_one_for_each_letter() -> None:
    with listening(well_behaved(b"PIPELINING")) as server:
        port = server.port
    fleet: Fleet[int] = Fleet(Relay.from_url(f"smtp://127.0.0.1:{port}"), size=20)
    for _ in range(2):
        ends = deliver(fleet, letters(20), within_s=1)
        assert fleet.away
        assert {(end.kind, end.stage) for end in ends.values()} == {
            (Kind.NOT_HANDED_OVER, Stage.CONNECTION)
        }
    with listening(well_behaved(b"PIPELINING"), port=port) as server:
        assert set(kinds(deliver(fleet, letters(20))).values()) == {Kind.ACCEPTED}
        assert not fleet.away
        fleet.close()


def test_lines_beyond_what_the_relay_allows_are_not_asked_for_at_once_again() -> None:
    def one_too_many(visit: Visit) -> None:
        visit.send(b"421 4.7.0 Too many connections\r\n")

    scripts = *[well_behaved(b"PIPELINING", delay_s=0.002)] * 2, one_too_many
    with listening(*scripts) as server, fleet_to(server, 5) as fleet:
        assert set(kinds(deliver(fleet, letters(60))).values()) == {Kind.ACCEPTED}
        assert sorted(numbers(server.bodies)) == list(range(60))
        assert not fleet.away
        assert server.visits <= 8


def test_a_line_that_rested_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.mail.smtp.patience.REST_LIMIT_S", 0.1)
    with listening(well_behaved(b"PIPELINING")) as server, fleet_to(server, 2) as fleet:
        for round_ in (1, 2):
            assert deliver_one(fleet).kind is Kind.ACCEPTED
            assert server.heard.count(b"QUIT") == round_ - 1
            for _ in range(8):
                fleet.turn(wait_s=0.06)
            assert server.heard.count(b"QUIT") == round_
            assert server.visits == round_


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 idle too long\r\n", b"550 5.0.0 What?\r\n"])
@pytest.mark.parametrize("turns", [True, False])
def test_a_line_that_the_server_closed_while_it_rested_is_opened_again(
    farewell: bytes, turns: bool
) -> None:
    def one_letter(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.body()
        visit.send(b"250 Ok\r\n")
        time.sleep(0.02)
        visit.send(farewell)

    with listening(one_letter) as server, fleet_to(server) as fleet:
        for number in range(3):
            assert deliver_one(fleet, letter(number)).kind is Kind.ACCEPTED
            time.sleep(0.06)
            if turns:
                fleet.turn(wait_s=0)
        assert numbers(server.bodies) == [0, 1, 2]


@EVERY_WAY
def test_a_kept_line_closed_at_the_next_command_is_opened_again(
    extensions: tuple[bytes, ...],
) -> None:
    def one_letter(visit: Visit) -> None:
        visit.greet(*extensions)
        visit.envelope()
        visit.body()
        visit.send(b"250 Ok\r\n")
        visit.line()
        visit.send(b"421 4.3.2 That was enough\r\n" if server.visits % 2 else b"")
        raise Gone

    with listening(one_letter) as server, fleet_to(server) as fleet:
        assert set(kinds(deliver(fleet, letters(4))).values()) == {Kind.ACCEPTED}
        assert numbers(server.bodies) == [0, 1, 2, 3]
        assert server.visits == 4


def test_closing_says_quit_and_tells_how_each_letter_ended() -> None:
    def slow(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.serve(delay_s=0.02)

    def silent(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        visit.body()
        visit.hang()

    with listening(slow, slow, silent, slow) as server:
        with fleet_to(server, 4) as fleet:
            for key in range(4):
                fleet.hand_in(key, letter(key))
                until_ready(fleet, {key})
            for key in (1, 2):
                fleet.hand_in(key + 10, letter(key + 10))
                assert fleet.dot(key)
            fleet.hand_in(20, letter(20))
        ends = kinds(dict(fleet.ended()))
        taken_back = dict.fromkeys((0, 3, 11, 12, 20), Kind.NOT_HANDED_OVER)
        assert ends == {1: Kind.ACCEPTED, 2: Kind.UNCERTAIN, **taken_back}
        assert fleet.outstanding == 0
        assert not fleet.dot(0)
        assert sorted(numbers(server.bodies)) == [1, 2]


def test_a_large_body_goes_through_whole_and_its_dot_finds_room_behind_it() -> None:
    def slow(visit: Visit) -> None:
        visit.greet(b"PIPELINING")
        visit.envelope()
        server.over.wait(0.2)
        visit.body()
        visit.send(b"250 Ok\r\n")
        visit.serve()

    huge = letter(1, body=(b"x" * 70 + b"\r\n") * 100_000)
    with listening(slow) as server, fleet_to(server) as fleet:
        ends = deliver(fleet, {1: huge, 2: letter(2)})
        assert kinds(ends) == {1: Kind.ACCEPTED, 2: Kind.ACCEPTED}
        assert server.bodies[0] == huge.body
        assert numbers(server.bodies) == [1, 2]


@pytest.mark.parametrize(
    "address", ["a\r\nDATA@b.test", "<a@b.test", "a@b.test>", "a b@c.test", "", "я@b.test", "a\0@b"]
)
def test_an_address_cannot_break_out_of_its_command(address: str) -> None:
    with pytest.raises(ValueError, match=r"^The recipient's address cannot"):
        Letter("news@clinic.test", address, LETTER.body)
    if address:
        with pytest.raises(ValueError, match=r"^The sender's address cannot"):
            Letter(address, "anna@patient.test", LETTER.body)


@pytest.mark.parametrize(
    "body",
    [b"", b"no end", b".\r\n", b"a\r\n.\r\nb\r\n", b"a\n.\nb\r\n", b"a\n.\r\n", b"a\r\n.\n\r\n"],
)
def test_a_body_cannot_end_itself(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^A body must"):
        Letter("news@clinic.test", "anna@patient.test", body)
    if body:
        with pytest.raises(ValueError, match=r"^A body must"):
            Letter("news@clinic.test", "anna@patient.test", b"..a\r\n..\r\n" + body)


def test_stuffed_dots_are_no_end() -> None:
    assert Letter("", "anna@patient.test", b"..\r\n..a\r\n...\r\na.\r\n").body


def test_a_body_is_not_searched_where_the_caller_vouches_for_it() -> None:
    unsearched = Letter("", "anna@patient.test", b"a\r\n.\r\nb\r\n", is_stuffed=True)
    assert unsearched.body
    with pytest.raises(ValueError, match="CRLF"):
        Letter("", "anna@patient.test", b"no end", is_stuffed=True)
    with pytest.raises(ValueError, match="recipient"):
        Letter("", "anna@patient.test>", LETTER.body, is_stuffed=True)
