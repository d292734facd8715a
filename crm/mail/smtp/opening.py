"""From a relay's name to a connection that may be spoken on: DNS, TCP, greeting, TLS, sign-in."""

import base64
import contextlib
import errno
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from functools import cache

from crm.errors import later
from crm.mail.smtp import patience
from crm.mail.smtp.reply import Garbled, Reply
from crm.mail.smtp.verdict import Verdict, not_handed_over
from crm.mail.smtp.wait import READ, WRITE, Deadline, Talk, Wait
from crm.mail.smtp.wire import Wire

_LOOK_AGAIN_S = 0.005
_ROOM = 262_144
"""Octets asked of the kernel for what we send. Linux doubles them, to pay for its packets with;
where net.core.wmem_max is as it comes, 212,992, they are as many, doubled."""
_NO_LIMIT = 2**31 - 1

_Address = tuple[int, int, int, tuple[str | int, ...] | tuple[int, bytes]]


class Failed(Exception):  # noqa: N818 - what happened on the wire, not a fault of ours
    """The attempt is over and its verdict known."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict


def open_wire(wire: Wire) -> Talk[None]:
    """Open or open again. Raises: `Failed` with not_handed_over; the line is closed then."""
    wire.hang_up()
    try:
        wire.attach((yield from _connect(wire.relay.host, wire.relay.port)))
        if wire.relay.implicit_tls:
            yield from _encrypt(wire)
        greeting = yield from wire.hear(patience_s=patience.TALK_S)
        if greeting.code != 220:
            raise Failed(not_handed_over(later("The relay does not take letters now"), greeting))
        yield from _introduce(wire)
        if wire.relay.starttls:
            yield from _start_tls(wire)
        if wire.relay.username:
            yield from _sign_in(wire, wire.relay.username, wire.relay.password or "")
    except BaseException:
        wire.hang_up()
        raise


class _Lookup(threading.Thread):
    """A name being resolved; a thread because the resolver cannot be told to hurry."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="smtp-lookup", daemon=True)
        self._host, self._port = host, port
        self.found: list[_Address] | None = None
        self.fault = ""

    def run(self) -> None:
        try:
            self.found = _resolve(self._host, self._port)
        except OSError as fault:
            self.fault = _reason(fault)
        except UnicodeError:
            self.fault = "the name is not valid"


_lookups: dict[tuple[str, int], _Lookup] = {}


def _resolve(host: str, port: int, flags: int = 0) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, kind, proto, address) for family, kind, proto, _, address in found]


def _addresses(host: str, port: int) -> Talk[list[_Address]]:
    try:
        return _resolve(host, port, socket.AI_NUMERICHOST)
    except OSError:
        pass
    lookup = _lookups.get((host, port))
    if lookup is None or not lookup.is_alive():
        lookup = _lookups[host, port] = _Lookup(host, port)
        lookup.start()
    until = time.monotonic() + patience.LOOKUP_S
    while lookup.is_alive():
        if time.monotonic() > until:
            raise Deadline
        yield Wait(None, 0, time.monotonic() + _LOOK_AGAIN_S)
    if not lookup.found:
        raise Failed(not_handed_over(f"The relay's name was not found: {lookup.fault}"))
    return lookup.found


def _connect(host: str, port: int) -> Talk[socket.socket]:
    """Return a socket connected to the first address that answers."""
    addresses = yield from _addresses(host, port)
    reason = ""
    for address in addresses:
        try:
            return (yield from _connect_to(address))
        except Deadline:
            reason = "it did not answer in time"
        except OSError as fault:
            reason = _reason(fault)
    raise Failed(not_handed_over(f"The relay could not be reached: {reason}"))


def _connect_to(address: _Address) -> Talk[socket.socket]:
    family, kind, proto, where = address
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _make_room(sock)
        _hurry(sock, str(where[0]))
        code = sock.connect_ex(where)
        if code == errno.EINPROGRESS:
            yield Wait(sock, WRITE, time.monotonic() + patience.CONNECT_S)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _make_room(sock: socket.socket) -> None:
    """Let the kernel take a whole small body at once, on any path and however it is tuned."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NO_LIMIT)


def _hurry(sock: socket.socket, host: str) -> None:
    """Let no congestion control pace what stays on this machine: BBR's timers cost 5 % of a rate.

    Reno is in every Linux kernel; another system, or one that forbids it, goes its own way.
    """
    if ipaddress.ip_address(host).is_loopback and hasattr(socket, "TCP_CONGESTION"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")


def _introduce(wire: Wire) -> Talk[None]:
    """EHLO, or HELO where that is not known; keeps what the server offers."""
    name = _own_name(wire.sock)
    reply = yield from wire.ask(b"EHLO " + name)
    if reply.code // 100 == 5 and reply.code != 554:
        reply = yield from wire.ask(b"HELO " + name)
        reply = Reply(reply.code, reply.lines[:1])
    if reply.code != 250:
        raise Failed(not_handed_over(later("The relay does not take letters now"), reply))
    wire.features = {}
    for offer in reply.lines[1:]:
        keyword, _, options = offer.decode("ascii", "replace").upper().strip().partition(" ")
        if keyword.startswith("AUTH="):  # as written before RFC 2554, still met
            keyword, options = "AUTH", f"{keyword[5:]} {options}"
        wire.features[keyword] = f"{wire.features.get(keyword, '')} {options}".strip()


def _own_name(sock: socket.socket) -> bytes:
    """Return our machine's name if it is a full one, or else its address (RFC 5321 4.1.4)."""
    name = socket.gethostname()
    if "." in name.strip(".") and name.isascii() and name.isprintable() and " " not in name:
        return name.encode("ascii")
    address = str(sock.getsockname()[0]).partition("%")[0]
    return (f"[IPv6:{address}]" if ":" in address else f"[{address}]").encode("ascii")


def _start_tls(wire: Wire) -> Talk[None]:
    if "STARTTLS" not in wire.features:
        raise Failed(not_handed_over(later("The relay does not offer STARTTLS.")))
    reply = yield from wire.ask(b"STARTTLS")
    if reply.code != 220:
        raise Failed(not_handed_over(later("The relay refuses STARTTLS"), reply))
    wire.must_be_silent()  # what was slipped in before the handshake is nobody's word
    yield from _encrypt(wire)
    yield from _introduce(wire)


def _encrypt(wire: Wire) -> Talk[None]:
    context = wire.tls or _verifying()
    try:
        sock = context.wrap_socket(
            wire.sock, server_hostname=wire.relay.host, do_handshake_on_connect=False
        )
        wire.attach(sock)
        yield from _shake_hands(sock)
    except ssl.SSLCertVerificationError as fault:
        text = f"The relay's certificate was refused: {fault.verify_message}"
        raise Failed(not_handed_over(text)) from None
    except OSError as fault:
        text = f"No encrypted connection to the relay: {_reason(fault)}"
        raise Failed(not_handed_over(text)) from None


def _shake_hands(sock: ssl.SSLSocket) -> Talk[None]:
    until = time.monotonic() + patience.TALK_S
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            yield Wait(sock, READ, until)
        except ssl.SSLWantWriteError:
            yield Wait(sock, WRITE, until)


@cache
def _verifying() -> ssl.SSLContext:
    return ssl.create_default_context()


def _sign_in(wire: Wire, username: str, password: str) -> Talk[None]:
    offered = wire.features.get("AUTH", "").split()
    if "PLAIN" in offered:
        answers = [_b64(f"\0{username}\0{password}")]
        reply = yield from wire.ask(b"AUTH PLAIN " + answers[0])
    elif "LOGIN" in offered:
        answers = [_b64(username), _b64(password)]
        reply = yield from wire.ask(b"AUTH LOGIN")
    else:
        raise Failed(not_handed_over(later("The relay offers no sign-in with a password.")))
    for answer in answers:
        if reply.code == 334:
            reply = yield from wire.ask(answer)
    if reply.code != 235:
        secrets = [password, *(answer.decode("ascii") for answer in answers)]
        raise Failed(_sign_in_refused(reply, secrets))


def _sign_in_refused(reply: Reply, secrets: Iterable[str]) -> Verdict:
    """Return the refusal in the server's words, unless they repeat what we told it."""
    if reply.code // 100 not in (4, 5):
        raise Garbled
    told = "".join(reply.text.split())
    if any(secret in told for secret in secrets):
        reply = Reply(reply.code, (b"",))
    return not_handed_over(later("The relay refuses the sign-in"), reply)


def _b64(text: str) -> bytes:
    return base64.b64encode(text.encode("utf-8"))


def _reason(fault: OSError) -> str:
    if isinstance(fault, ssl.SSLError):
        return (fault.reason or "TLS failed").replace("_", " ").lower()
    return fault.strerror or type(fault).__name__
