"""A relay and a site on loopback that show a certificate."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Talk = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Certificate:
    server: ssl.SSLContext
    trusting: ssl.SSLContext
    """A client that knows the authority."""


def a_certificate(
    folder: Path, *, ends: datetime, at: datetime, address: str = "127.0.0.1"
) -> Certificate:
    """A self-signed certificate for an address, which a client may be told to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(ends, at) - timedelta(days=90))
        .not_valid_after(ends)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Certificate(server, ssl.create_default_context(cafile=str(path)))


@contextlib.contextmanager
def serving(talk: Talk) -> Iterator[int]:
    """A server that runs ``talk`` for each visitor in turn; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, talk), daemon=True)
        thread.start()
        port: int = listener.getsockname()[1]
        try:
            yield port
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def a_relay(certificate: Certificate | None, *, implicit: bool = False) -> Talk:
    """A mail server that can say hello, go over to TLS, and say goodbye."""

    def talk(sock: socket.socket) -> None:
        if implicit and certificate:
            sock = certificate.server.wrap_socket(sock, server_side=True)
        sock.sendall(b"220 relay.test\r\n")
        while command := sock.recv(1000)[:4].upper():
            if command == b"EHLO":
                offered = b"STARTTLS" if certificate and not implicit else b"8BITMIME"
                sock.sendall(b"250-relay.test\r\n250 " + offered + b"\r\n")
            elif command == b"STAR" and certificate:
                sock.sendall(b"220 go on\r\n")
                sock = certificate.server.wrap_socket(sock, server_side=True)
            else:
                sock.sendall(b"221 bye\r\n")
                break
        sock.close()

    return talk


def a_site(certificate: Certificate, status: str) -> Talk:
    """A site that gives one answer to everything."""

    def talk(sock: socket.socket) -> None:
        with certificate.server.wrap_socket(sock, server_side=True) as line:
            line.recv(4000)
            line.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    return talk


def _serve(listener: socket.socket, talk: Talk) -> None:
    with contextlib.suppress(OSError):  # the listener is closed: the test is over
        while True:
            sock, _address = listener.accept()
            sock.settimeout(5)
            with sock, contextlib.suppress(OSError):  # the visitor has gone
                talk(sock)
