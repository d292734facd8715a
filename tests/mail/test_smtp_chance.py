"""A server that misbehaves by chance: what it got and what is said of it must agree."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.mail.smtp import Kind, Stage, Verdict
from tests.mail.hostile import Gone, Script, Visit, listening, well_behaved
from tests.mail.visitor import (
    PADDING,
    deliver,
    fleet_to,
    letters,
    narrow,
    numbers,
)

COUNT = 12
PATIENCE_S = 0.06
OK = b"250 2.0.0 Ok\r\n"
Act = tuple[str, bytes]

ACTS: st.SearchStrategy[Act] = st.one_of(
    *[st.just(("good", b""))] * 8,
    st.just(("drip", b"")),
    st.just(("forget", b"")),
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
    if name == "forget":
        visit.forget()
    if name == "drip":
        visit.drip(good[:3] + b"-well\r\n")
    visit.send(data if name == "say" else good)


def moody(acts: list[Act], extension: bytes) -> Script:
    """Return the script of a server that answers as drawn, one act per command or dot."""

    def script(visit: Visit) -> None:
        left = iter(acts)
        answer(visit, b"220 hi\r\n", next(left))
        visit.hello(extension)
        valid = False
        for act in left:
            line = visit.line()
            if line == b"DATA" and valid:
                answer(visit, b"354 go\r\n", act)
                visit.body()
                answer(visit, OK, next(left, ("good", b"")))
            else:
                answer(visit, b"503 no\r\n" if line == b"DATA" else OK, act)
            valid = line.startswith(b"RCPT") and act[0] in ("good", "drip", "forget")
        visit.hang()

    return script


def refused_by_the_server(verdict: Verdict) -> bool:
    return verdict.stage is Stage.DOT and verdict.kind in (Kind.LATER, Kind.REJECTED)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    visits=st.lists(st.lists(ACTS, min_size=2, max_size=24), min_size=1, max_size=6),
    extension=st.sampled_from([b"PIPELINING", b"PIPELINING", b"HELP"]),
    dropped=st.sets(st.integers(0, COUNT - 1), max_size=4),
    size=st.integers(1, 3),
    padding=st.sampled_from([b"", b"x" * 9000 + b"\r\n", PADDING]),
    narrowly=st.booleans(),
)
def test_what_the_server_got_and_what_is_said_of_it_agree(
    visits: list[list[Act]],
    extension: bytes,
    dropped: set[int],
    size: int,
    padding: bytes,
    narrowly: bool,
) -> None:
    scripts = [moody(acts, extension) for acts in visits]
    with pytest.MonkeyPatch.context() as patch:
        for phase in ("TALK_S", "ENVELOPE_S", "BODY_S", "FAREWELL_S"):
            patch.setattr(f"crm.mail.smtp.patience.{phase}", PATIENCE_S)
        if narrowly:
            narrow(patch)
        with (
            listening(*scripts, well_behaved(extension)) as server,
            fleet_to(server, size, patience_s=PATIENCE_S) as fleet,
        ):
            ends = deliver(fleet, letters(COUNT, body=padding), drop=dropped)
        complete = Counter(numbers(server.bodies))
        server.faults.clear()
    assert set(complete.values()) <= {1}
    assert not dropped & (set(complete) - set(ends))
    for key, verdict in ends.items():
        if verdict.kind is Kind.ACCEPTED:
            assert complete[key] == 1
        if complete[key]:
            known = verdict.kind in (Kind.ACCEPTED, Kind.UNCERTAIN)
            assert known or refused_by_the_server(verdict)
        if verdict.kind is Kind.UNCERTAIN:
            assert verdict.stage is Stage.DOT
