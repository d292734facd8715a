"""Our signatures, as a provider's verifier sees them behind a real SMTP server."""

import re
import smtplib
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import dkim
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.mail.dkim import OVERSIGNED, SIGNED, Signer, signatures
from crm.mail.dkim_keys import record
from tests.letters.samples import DOTTED, printed, printed_in_8_bit, received

SIGNERS = [
    Signer("clinic.example", "s2026a", rsa.generate_private_key(65537, 2048)),
    Signer("clinic.example", "s2026e", ed25519.Ed25519PrivateKey.generate()),
]
SIGNED_AT = datetime(2026, 1, 1, tzinfo=UTC)
PRINTS = [printed, printed_in_8_bit]
BY_NAME = pytest.mark.parametrize("signer", SIGNERS, ids=["rsa", "ed25519"])
BY_FORM = pytest.mark.parametrize("form", PRINTS, ids=["quoted-printable", "8bit"])


class Sink:
    """Keeps the last letter that the server took, as the server understood it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.last = b""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.last = envelope.original_content or b""
        return "250 Taken"

    def take(self, wire: bytes) -> bytes:
        """Hand over the letter as it stands, and return what arrived."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=5) as line:
            line.ehlo("crm.test")
            line.mail("news@clinic.example", ["BODY=8BITMIME"])
            line.rcpt("anna@mail.example")
            assert line.docmd("DATA")[0] == 354
            line.send(wire + b".\r\n")
            assert line.getreply()[0] == 250
        return self.last


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = Sink(port)
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield kept
    controller.stop()


def holds(raw: bytes) -> bool:
    """Return whether the first signature of a letter, as received, is good."""
    return bool(dkim.verify(raw, dnsfunc=in_dns))


def in_dns(name: bytes, timeout: int = 5) -> bytes:
    names = {f"{one.selector}._domainkey.{one.domain}.": record(one) for one in SIGNERS}
    return names[name.decode()].encode()


def signed(wire: bytes, *signers: Signer) -> bytes:
    return signatures(wire, signers, at=SIGNED_AT) + wire


@BY_NAME
@BY_FORM
def test_a_signature_holds_behind_a_real_server(
    signer: Signer, form: Callable[..., bytes], sink: Sink
) -> None:
    wire = signed(form(DOTTED), signer)
    raw = sink.take(wire)
    assert raw == received(wire)
    assert holds(raw)


def test_the_letter_of_these_tests_has_lines_that_begin_with_dots() -> None:
    assert printed_in_8_bit(DOTTED).count(b"\r\n..") >= 3


@BY_FORM
def test_two_signatures_hold_one_beside_the_other(form: Callable[..., bytes]) -> None:
    raw = received(signed(form(DOTTED), *SIGNERS))
    both = dkim.DKIM(raw)
    assert both.verify(0, dnsfunc=in_dns)
    assert both.verify(1, dnsfunc=in_dns)


@BY_NAME
@pytest.mark.parametrize("name", SIGNED, ids=bytes.decode)
def test_changing_a_signed_header_breaks_the_signature(signer: Signer, name: bytes) -> None:
    raw = received(signed(printed_in_8_bit(DOTTED), signer))
    changed = re.sub(rb"(?im)^(%b: )" % name, rb"\1x", raw, count=1)
    assert changed != raw
    assert not holds(changed)


@BY_NAME
@pytest.mark.parametrize("name", SIGNED, ids=bytes.decode)
def test_taking_a_signed_header_away_breaks_the_signature(signer: Signer, name: bytes) -> None:
    raw = received(signed(printed_in_8_bit(DOTTED), signer))
    without = re.sub(rb"(?im)^%b: .*\r\n(?:[ \t].*\r\n)*" % name, b"", raw, count=1)
    assert without != raw
    assert not holds(without)


@BY_NAME
@pytest.mark.parametrize("name", OVERSIGNED, ids=bytes.decode)
@pytest.mark.parametrize("above", [True, False], ids=["above", "below"])
def test_a_second_from_or_subject_breaks_the_signature(
    signer: Signer, name: bytes, above: bool
) -> None:
    raw = received(signed(printed(DOTTED), signer))
    another = name + b": forged@elsewhere.example\r\n"
    head, _, body = raw.partition(b"\r\n\r\n")
    forged = another + raw if above else head + b"\r\n" + another + b"\r\n" + body
    assert not holds(forged)


@BY_NAME
def test_changing_the_body_breaks_the_signature(signer: Signer) -> None:
    raw = received(signed(printed(DOTTED), signer))
    assert not holds(raw.replace(b"=_letter--", b"=_letter--x"))
    assert holds(raw + b"\r\n\r\n")


@BY_NAME
def test_respacing_headers_on_the_way_does_not_break_the_signature(signer: Signer) -> None:
    raw = received(signed(printed(DOTTED), signer))
    respaced = raw.replace(b"\r\nTo: ", b"\r\nTO:\r\n\t  ").replace(
        b">,\r\n <mailto", b">, <mailto"
    )
    assert respaced != raw
    assert holds(respaced)


def test_headers_that_a_letter_lacks_are_not_named() -> None:
    wire = b"From: a@clinic.example\r\nSubject: a\r\n\r\n\r\n\r\n"
    header = signatures(wire, SIGNERS[:1], at=SIGNED_AT)
    assert b" h=from:subject:from:subject;" in header
    assert b" t=1767225600;" in header
    assert holds(header + wire)


def test_no_line_of_a_signature_is_too_long_for_smtp() -> None:
    header = signatures(printed(DOTTED), SIGNERS, at=SIGNED_AT)
    assert max(map(len, header.split(b"\r\n"))) < 500
    assert header.isascii()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.sampled_from(". а\tb"), max_size=6), max_size=8))
def test_any_body_is_signed_as_it_is_received(lines: list[str]) -> None:
    stuffed = ["." + line if line.startswith(".") else line for line in lines]
    head = b"From: a@clinic.example\r\nSubject: a\r\n\r\n"
    wire = head + "".join(f"{line}\r\n" for line in stuffed).encode()
    raw = head + "".join(f"{line}\r\n" for line in lines).encode()
    assert holds(signatures(wire, SIGNERS[1:], at=SIGNED_AT) + raw)
