"""Scripts of relays that misbehave, each for one visit."""

from tests.mail.hostile import Script, Visit, well_behaved

DRIP_S = 0.13
"""Between two bytes: longer than anybody waits for a whole answer, in a story's hurry."""


def refuses_at_the_door(visit: Visit) -> None:
    visit.send(b"554 5.3.2 No SMTP service here\r\n")


def closes_at_the_door(visit: Visit) -> None:
    visit.reset()


def hangs_after_the_dot(visit: Visit) -> None:
    visit.greet(b"PIPELINING")
    visit.envelope()
    visit.body()
    visit.hang()


def hangs_after_data(visit: Visit) -> None:
    visit.greet(b"PIPELINING")
    visit.expect(b"MAIL", b"250 2.1.0 Ok\r\n")
    visit.expect(b"RCPT", b"250 2.1.5 Ok\r\n")
    visit.expect(b"DATA", b"")
    visit.hang()


def drops_mid_body(visit: Visit) -> None:
    visit.greet(b"PIPELINING")
    visit.envelope()
    visit.some_body(500)
    visit.reset()


def speaks_in_fragments(visit: Visit) -> None:
    whole = visit.send

    def in_fragments(data: bytes) -> None:
        for octet in data[:3] + b"-first, of several\r\n" + data:
            whole(bytes([octet]))

    visit.send = in_fragments  # type: ignore[method-assign]
    visit.greet(b"PIPELINING", b"8BITMIME")
    visit.serve()


def closes_with_421(visit: Visit) -> None:
    visit.greet(b"PIPELINING")
    visit.envelope()
    visit.body()
    visit.send(b"250 2.0.0 Ok\r\n")
    visit.line()
    visit.send(b"421 4.3.2 Closing\r\n")


def forgets_the_pipeline(visit: Visit) -> None:
    visit.greet(b"PIPELINING")
    visit.line()
    visit.forget()
    visit.send(b"250 2.1.0 Ok\r\n")
    visit.hang()


def answers_twice(visit: Visit) -> None:
    visit.greet(b"PIPELINING")
    for _ in range(3):
        visit.line()
        visit.send(b"250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n")
    visit.hang()


def drips(visit: Visit) -> None:
    visit.drip(b"220 relay.test is very slow today\r\n" * 20, DRIP_S)


def sends_garbage(visit: Visit) -> None:
    visit.send(bytes(range(256)) * 4 + b"\r\n")
    visit.hang()


def answers_the_dot_with_garbage(visit: Visit) -> None:
    visit.greet(b"PIPELINING")
    visit.envelope()
    visit.body()
    visit.send(b"\xff\x00 what?\r\n")
    visit.hang()


NO_DOT: list[Script] = [
    refuses_at_the_door,
    closes_at_the_door,
    hangs_after_data,
    forgets_the_pipeline,
    answers_twice,
    drips,
    sends_garbage,
]
HEALED: list[Script] = [hangs_after_data, forgets_the_pipeline]
"""Of these nobody need hear: the fleet sends the letter on another line at once."""
AFTER_A_DOT: list[Script] = [hangs_after_the_dot, answers_the_dot_with_garbage]
STRANGE: list[Script] = [speaks_in_fragments, closes_with_421, well_behaved(b"PIPELINING")]
