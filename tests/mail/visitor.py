"""The visitor of a hostile server: a fleet, and letters brought to their ends."""

import contextlib
import socket
import ssl
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import pytest

from crm.mail.smtp import Fleet, Kind, Letter, Relay, Verdict, opening, patience
from crm.mail.smtp.wait import Talk
from tests.mail.hostile import PATIENCE_S, Server

BODY = b"Subject: Hello\r\n\r\nGood day.\r\n"
PADDING = (b"x" * 70 + b"\r\n") * 1000
"""Makes a body too large to go with its dot."""
LETTER = Letter("news@clinic.test", "anna@patient.test", BODY)


def letter(number: int, *, recipient: str = "", body: bytes = b"") -> Letter:
    """Return a letter that can be told from all others by its body."""
    recipient = recipient or f"p{number}@patient.test"
    return Letter("news@clinic.test", recipient, b"Letter: %d\r\n%b" % (number, body))


def letters(
    count: int, *, first: int = 0, refused: Collection[int] = (), body: bytes = b""
) -> dict[int, Letter]:
    """Return letters by their numbers; the `refused` are for people whose name begins with no."""
    named = {number: f"no{number}@patient.test" for number in refused}
    return {
        number: letter(number, recipient=named.get(number, ""), body=body)
        for number in range(first, first + count)
    }


@contextlib.contextmanager
def fleet_to(
    server: Server,
    size: int = 1,
    *,
    patience_s: float = 3.0,
    tls: ssl.SSLContext | None = None,
    url: str = "",
) -> Iterator[Fleet[int]]:
    """Give a fleet to the server, and close it at the end, in a second or little more."""
    relay = Relay.from_url((url or "smtp://127.0.0.1:{port}").format(port=server.port))
    fleet: Fleet[int] = Fleet(relay, size=size, patience_s=patience_s, tls=tls)
    try:
        yield fleet
    finally:
        begun = time.monotonic()
        fleet.close()
        assert time.monotonic() - begun < 2
        assert not fleet.ready


def deliver(
    fleet: Fleet[int],
    cargo: Mapping[int, Letter],
    *,
    also: Collection[int] = (),
    drop: Collection[int] = (),
    within_s: float = PATIENCE_S,
) -> dict[int, Verdict]:
    """Bring all letters to their ends: a dot for each that is ready.

    Those to `drop` are dropped when they are ready instead; `also` are aboard already.
    """
    waiting = list(cargo.items())
    ends: dict[int, Verdict] = {}
    dropped: set[int] = set()
    until = time.monotonic() + within_s
    while len(ends) + len(dropped) < len(cargo) + len(also):
        assert time.monotonic() < until, f"still aboard: {({*cargo, *also}) - set(ends) - dropped}"
        while waiting and fleet.room:
            fleet.hand_in(*waiting.pop(0))
        fleet.turn(wait_s=0.05)
        ready = fleet.ready
        for key in ready:
            if key in drop:
                fleet.drop(key)
                dropped.add(key)
            else:
                fleet.dot(key)
        for key, verdict in fleet.ended():
            assert key not in ends, "ended twice"
            assert key not in dropped, "ended after it was dropped"
            ends[key] = verdict
    assert fleet.outstanding == 0
    return ends


def hurry(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let no phase of a conversation take longer."""
    for phase in ("TALK_S", "ENVELOPE_S", "BODY_S"):
        monkeypatch.setattr(patience, phase, seconds)


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the visitor's sockets the smallest buffers that there are."""
    connect = opening._connect_to

    def connect_narrowly(*address: Any) -> Talk[socket.socket]:
        sock = yield from connect(*address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return sock

    monkeypatch.setattr(opening, "_connect_to", connect_narrowly)


@contextlib.contextmanager
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Collect the visitor's sockets, so that something may be done to them later."""
    connect, socks = opening._connect_to, list[socket.socket]()

    def connect_seen(*address: Any) -> Talk[socket.socket]:
        sock = yield from connect(*address)
        socks.append(sock)
        return sock

    with monkeypatch.context() as patch:
        patch.setattr(opening, "_connect_to", connect_seen)
        yield socks


def until_ready(fleet: Fleet[int], keys: Collection[int]) -> None:
    """Take turns until these letters only lack their dots."""
    until = time.monotonic() + PATIENCE_S
    while not set(keys) <= set(fleet.ready):
        assert time.monotonic() < until, f"ready: {fleet.ready}"
        fleet.turn(wait_s=0.05)


def deliver_one(fleet: Fleet[int], one: Letter = LETTER, **how: Any) -> Verdict:
    """Bring one letter to its end."""
    return deliver(fleet, {1: one}, **how)[1]


def kinds(ends: Mapping[int, Verdict]) -> dict[int, Kind]:
    """Return how each ended."""
    return {key: verdict.kind for key, verdict in ends.items()}


def numbers(bodies: Iterable[bytes]) -> list[int]:
    """Return which letters a server was given, in order."""
    return [int(body.split(b"\r\n")[0].removeprefix(b"Letter: ")) for body in bodies]
