"""Reaching a relay: names, certificates, STARTTLS, sign-in."""

import base64
import contextlib
import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crm.mail.smtp import Fleet, Kind, Relay
from tests.mail.hostile import Script, Visit, listening, well_behaved
from tests.mail.visitor import (
    deliver,
    deliver_one,
    fleet_to,
    kinds,
    letter,
    letters,
    narrow,
    numbers,
    until_ready,
)

REQUIRED = "smtp://127.0.0.1:{port}?starttls=required"
SIGNED_IN = "smtp://priem%40clinic.test:s3cret%2F@127.0.0.1:{port}"
PLAIN = base64.b64encode(b"\0priem@clinic.test\0s3cret/")


class Certificate:
    """A self-signed certificate for 127.0.0.1: what its server shows and what a client trusts."""

    def __init__(self, folder: Path, *, days: int, address: str = "127.0.0.1") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay.test")])
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - datetime.timedelta(days=30))
            .not_valid_after(end)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = folder / f"{address}-{days}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(path)
        self.client = ssl.create_default_context(cafile=str(path))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"), days=10)


def starttls(certificate: Certificate, *after: bytes) -> Script:
    """Return the script of a server that goes over to TLS and then offers `after`."""

    def script(visit: Visit) -> None:
        visit.greet(b"STARTTLS", b"SIZE 1")
        visit.expect(b"STARTTLS", b"220 Go ahead\r\n")
        visit.encrypt(certificate.server)
        visit.hello(b"PIPELINING", *after)
        visit.serve()

    return script


def test_starttls_is_used_and_what_was_offered_before_it_is_forgotten(
    certificate: Certificate,
) -> None:
    with (
        listening(starttls(certificate)) as server,
        fleet_to(server, 3, tls=certificate.client, url=REQUIRED) as fleet,
    ):
        assert set(kinds(deliver(fleet, letters(20))).values()) == {Kind.ACCEPTED}
        assert sorted(numbers(server.bodies)) == list(range(20))
        assert server.visits == 3


def test_encrypted_lines_carry_large_letters_and_give_back_dropped_ones(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch)
    cargo = letters(24, body=(b"x" * 70 + b"\r\n") * 600)
    with (
        listening(starttls(certificate)) as server,
        fleet_to(server, 3, tls=certificate.client, url=REQUIRED) as fleet,
    ):
        ends = deliver(fleet, cargo, drop={0, 5, 6, 20})
        assert set(ends) == set(cargo) - {0, 5, 6, 20}
        assert set(kinds(ends).values()) == {Kind.ACCEPTED}
        assert sorted(server.bodies) == sorted(cargo[key].body for key in ends)


def test_smtps_is_encrypted_from_the_first_byte(certificate: Certificate) -> None:
    def script(visit: Visit) -> None:
        visit.encrypt(certificate.server)
        visit.greet()
        visit.serve()

    url = "smtps://127.0.0.1:{port}"
    with (
        listening(script) as server,
        fleet_to(server, tls=certificate.client, url=url) as fleet,
    ):
        verdict = deliver_one(fleet)
        assert verdict.kind is Kind.ACCEPTED


def test_a_server_that_leaves_an_encrypted_line_before_the_dot_gets_none(
    certificate: Certificate,
) -> None:
    def script(visit: Visit) -> None:
        visit.encrypt(certificate.server)
        visit.greet()
        visit.envelope()

    url = "smtps://127.0.0.1:{port}"
    with (
        listening(script) as server,
        fleet_to(server, tls=certificate.client, url=url) as fleet,
    ):
        fleet.hand_in(1, letter(1))
        until_ready(fleet, {1})
        time.sleep(0.1)
        assert not fleet.dot(1)
        verdict = deliver(fleet, {}, also=(1,))[1]
        assert verdict.kind is Kind.NOT_HANDED_OVER


@pytest.mark.parametrize(
    ("days", "address", "reason"),
    [(-1, "127.0.0.1", "certificate has expired"), (10, "127.0.0.2", "certificate is not valid")],
)
def test_a_certificate_that_does_not_hold_ends_the_attempt(
    tmp_path: Path, days: int, address: str, reason: str
) -> None:
    bad = Certificate(tmp_path, days=days, address=address)
    with (
        listening(starttls(bad)) as server,
        fleet_to(server, tls=bad.client, url=REQUIRED) as fleet,
    ):
        verdict = deliver_one(fleet)
        assert verdict.kind is Kind.NOT_HANDED_OVER
        assert reason in verdict.text


def test_a_certificate_nobody_vouches_for_is_refused_by_default(certificate: Certificate) -> None:
    with listening(starttls(certificate)) as server, fleet_to(server, url=REQUIRED) as fleet:
        verdict = deliver_one(fleet)
        assert "self-signed" in verdict.text
        assert len(server.heard) == 2


def test_without_starttls_nothing_is_said_where_it_is_required() -> None:
    with listening(well_behaved()) as server, fleet_to(server, url=REQUIRED) as fleet:
        verdict = deliver_one(fleet)
        assert verdict.kind is Kind.NOT_HANDED_OVER
        assert verdict.relay_wide
        assert verdict.text == "The relay does not offer STARTTLS."
        assert not any(heard.startswith(b"MAIL") for heard in server.heard)


def test_an_answer_slipped_in_before_the_handshake_is_not_believed(
    certificate: Certificate,
) -> None:
    def script(visit: Visit) -> None:
        visit.greet(b"STARTTLS")
        visit.expect(b"STARTTLS", b"220 Go\r\n250 relay.test\r\n")
        visit.encrypt(certificate.server)

    with (
        listening(script) as server,
        fleet_to(server, tls=certificate.client, url=REQUIRED) as fleet,
    ):
        verdict = deliver_one(fleet)
        assert verdict.text == "The relay's answer could not be understood."


@pytest.mark.parametrize(
    "talk",
    [
        [(b"AUTH PLAIN " + PLAIN, b"235 2.7.0 Welcome\r\n")],
        [(b"AUTH PLAIN " + PLAIN, b"334 \r\n"), (PLAIN, b"235 2.7.0 Welcome\r\n")],
        [
            (b"AUTH LOGIN", b"334 VXNlcm5hbWU6\r\n"),
            (base64.b64encode(b"priem@clinic.test"), b"334 UGFzc3dvcmQ6\r\n"),
            (base64.b64encode(b"s3cret/"), b"235 2.7.0 Welcome\r\n"),
        ],
    ],
    ids=["plain", "plain, asked twice", "login"],
)
def test_the_sign_in_is_plain_or_login(talk: list[tuple[bytes, bytes]]) -> None:
    def script(visit: Visit) -> None:
        visit.greet(b"AUTH LOGIN" if talk[0][0] == b"AUTH LOGIN" else b"AUTH CRAM-MD5 LOGIN PLAIN")
        for command, answer in talk:
            visit.expect(command, answer)
        visit.serve()

    with listening(script) as server, fleet_to(server, url=SIGNED_IN) as fleet:
        verdict = deliver_one(fleet)
        assert verdict.kind is Kind.ACCEPTED


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"535 5.7.8 Bad credentials\r\n", "The relay refuses the sign-in: Bad credentials"),
        (b"454 4.7.0 Try later\r\n", "The relay refuses the sign-in: Try later"),
        (b"500 What is AUTH PLAIN " + PLAIN + b"?\r\n", "The relay refuses the sign-in:"),
    ],
)
def test_a_refused_sign_in_hands_nothing_over_and_tells_no_secret(answer: bytes, text: str) -> None:
    def script(visit: Visit) -> None:
        visit.greet(b"AUTH PLAIN")
        visit.expect(b"AUTH", answer)
        visit.hang()

    with listening(script) as server, fleet_to(server, url=SIGNED_IN) as fleet:
        verdict = deliver_one(fleet)
        assert verdict.kind is Kind.NOT_HANDED_OVER
        assert verdict.relay_wide
        assert verdict.code == int(answer[:3])
        assert verdict.text == text


def test_a_relay_that_cannot_be_signed_in_to_gets_nothing() -> None:
    with listening(well_behaved()) as server, fleet_to(server, url=SIGNED_IN) as fleet:
        verdict = deliver_one(fleet)
        assert verdict.text == "The relay offers no sign-in with a password."


def test_helo_will_do_where_ehlo_is_not_known() -> None:
    def script(visit: Visit) -> None:
        visit.send(b"220 old.test\r\n")
        visit.expect(b"EHLO", b"502 5.5.1 What?\r\n")
        visit.expect(b"HELO", b"250 old.test\r\n")
        visit.serve()

    with listening(script) as server, fleet_to(server) as fleet:
        verdict = deliver_one(fleet)
        assert verdict.kind is Kind.ACCEPTED


def test_a_refused_connection_is_not_handed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fleet: Fleet[int] = Fleet(Relay.from_url(f"smtp://127.0.0.1:{port}"), size=2)
    verdict = deliver_one(fleet)
    fleet.close()
    assert verdict.kind is Kind.NOT_HANDED_OVER
    assert verdict.text == "The relay could not be reached: Connection refused"


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    with (
        listening(well_behaved()) as server,
        fleet_to(server, url="smtp://localhost:{port}") as fleet,
    ):
        verdict = deliver_one(fleet)
        assert verdict.kind is Kind.ACCEPTED


def test_an_unknown_name_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fleet: Fleet[int] = Fleet(Relay.from_url("smtp://nowhere.test?starttls=never"), size=2)
    verdict = deliver_one(fleet)
    fleet.close()
    assert verdict.kind is Kind.NOT_HANDED_OVER
    assert verdict.text == "The relay's name was not found: Name or service not known"


def test_a_resolver_that_hangs_does_not_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any, flags: int = 0, **__: Any) -> list[Any]:
        if not flags:
            time.sleep(3)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr("crm.mail.smtp.patience.LOOKUP_S", 0.3)
    fleet: Fleet[int] = Fleet(Relay.from_url("smtp://slow.test?starttls=never"), size=1)
    begun = time.monotonic()
    verdict = deliver_one(fleet)
    fleet.close()
    assert 0.25 < time.monotonic() - begun < 1.5
    assert verdict.kind is Kind.NOT_HANDED_OVER
    assert verdict.text == "The relay did not answer in time."


def test_an_address_that_does_not_answer_costs_ten_seconds_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crm.mail.smtp.patience.CONNECT_S", 0.2)
    with full_house() as port:
        fleet: Fleet[int] = Fleet(Relay.from_url(f"smtp://127.0.0.1:{port}"), size=1)
        begun = time.monotonic()
        verdict = deliver_one(fleet)
        fleet.close()
        assert 0.15 < time.monotonic() - begun < 1
    assert verdict.kind is Kind.NOT_HANDED_OVER
    assert verdict.text == "The relay could not be reached: it did not answer in time"


@contextlib.contextmanager
def full_house() -> Iterator[int]:
    """Listen on a port whose queue is full, so that nobody else gets in."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        guests = []
        for _ in range(4):
            guest = socket.socket()
            guest.setblocking(False)
            guest.connect_ex(listener.getsockname())
            guests.append(guest)
        yield listener.getsockname()[1]
        for guest in guests:
            guest.close()
