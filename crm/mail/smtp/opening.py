"""From a relay's name to a line that may be spoken on: DNS, TCP, greeting, TLS, sign-in."""

import base64
import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from functools import cache
from math import inf

from crm.errors import later
from crm.mail.smtp.line import Line, Stage
from crm.mail.smtp.reply import Garbled, Reply
from crm.mail.smtp.verdict import Verdict, not_handed_over
from crm.mail.smtp.wait import READ, WRITE, Deadline, Talk, Wait

_ADDRESS_PATIENCE_S = 10.0
_LOOK_AGAIN_S = 0.005

_Address = tuple[int, int, int, tuple[str | int, ...] | tuple[int, bytes]]


class Failed(Exception):  # noqa: N818 - what happened on the wire, not a fault of ours
    """The attempt is over and its verdict known."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict


def open_line(line: Line) -> Talk[None]:
    """Open or open again. Raises: `Failed` with not_handed_over; the line is closed then."""
    line.hang_up()
    try:
        line.attach((yield from _connect(line.relay.host, line.relay.port)))
        if line.relay.implicit_tls:
            yield from _encrypt(line)
        greeting = yield from line.hear()
        if greeting.code != 220:
            raise Failed(not_handed_over(later("The relay does not take letters now"), greeting))
        yield from _introduce(line)
        if line.relay.starttls:
            yield from _start_tls(line)
        if line.relay.username:
            yield from _sign_in(line, line.relay.username, line.relay.password or "")
    except BaseException:
        line.hang_up()
        raise
    line.stage = Stage.IDLE


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
    while lookup.is_alive():
        yield Wait(None, 0, time.monotonic() + _LOOK_AGAIN_S)
    if not lookup.found:
        raise Failed(not_handed_over(f"The relay's name was not found: {lookup.fault}"))
    return lookup.found


def _connect(host: str, port: int) -> Talk[socket.socket]:
    """Return a socket connected to the first address that answers."""
    addresses = yield from _addresses(host, port)
    reason = ""
    for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        until = time.monotonic() + _ADDRESS_PATIENCE_S if left else inf
        try:
            return (yield from _connect_to(address, until))
        except Deadline:
            reason = "it did not answer in time"
        except OSError as fault:
            reason = _reason(fault)
    raise Failed(not_handed_over(f"The relay could not be reached: {reason}"))


def _connect_to(address: _Address, until: float) -> Talk[socket.socket]:
    family, kind, proto, where = address
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(where)
        if code == errno.EINPROGRESS:
            yield Wait(sock, WRITE, until)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _introduce(line: Line) -> Talk[None]:
    """EHLO, or HELO where that is not known; keeps what the server offers."""
    name = _own_name(line.sock)
    reply = yield from line.ask(b"EHLO " + name)
    if reply.code // 100 == 5 and reply.code != 554:
        reply = yield from line.ask(b"HELO " + name)
        reply = Reply(reply.code, reply.lines[:1])
    if reply.code != 250:
        raise Failed(not_handed_over(later("The relay does not take letters now"), reply))
    line.features = {}
    for offer in reply.lines[1:]:
        keyword, _, options = offer.decode("ascii", "replace").upper().strip().partition(" ")
        if keyword.startswith("AUTH="):  # as written before RFC 2554, still met
            keyword, options = "AUTH", f"{keyword[5:]} {options}"
        line.features[keyword] = f"{line.features.get(keyword, '')} {options}".strip()


def _own_name(sock: socket.socket) -> bytes:
    """Return our machine's name if it is a full one, or else its address (RFC 5321 4.1.4)."""
    name = socket.gethostname()
    if "." in name.strip(".") and name.isascii() and name.isprintable() and " " not in name:
        return name.encode("ascii")
    address = str(sock.getsockname()[0]).partition("%")[0]
    return (f"[IPv6:{address}]" if ":" in address else f"[{address}]").encode("ascii")


def _start_tls(line: Line) -> Talk[None]:
    if "STARTTLS" not in line.features:
        raise Failed(not_handed_over(later("The relay does not offer STARTTLS.")))
    reply = yield from line.ask(b"STARTTLS")
    if reply.code != 220:
        raise Failed(not_handed_over(later("The relay refuses STARTTLS"), reply))
    line.must_be_silent()  # what was slipped in before the handshake is nobody's word
    yield from _encrypt(line)
    yield from _introduce(line)


def _encrypt(line: Line) -> Talk[None]:
    context = line.tls or _verifying()
    letters, features = line.letters, line.features
    try:
        sock = context.wrap_socket(
            line.sock, server_hostname=line.relay.host, do_handshake_on_connect=False
        )
        line.attach(sock)
        line.letters, line.features = letters, features
        yield from _shake_hands(sock)
    except ssl.SSLCertVerificationError as fault:
        text = f"The relay's certificate was refused: {fault.verify_message}"
        raise Failed(not_handed_over(text)) from None
    except OSError as fault:
        text = f"No encrypted connection to the relay: {_reason(fault)}"
        raise Failed(not_handed_over(text)) from None


def _shake_hands(sock: ssl.SSLSocket) -> Talk[None]:
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            yield Wait(sock, READ)
        except ssl.SSLWantWriteError:
            yield Wait(sock, WRITE)


@cache
def _verifying() -> ssl.SSLContext:
    return ssl.create_default_context()


def _sign_in(line: Line, username: str, password: str) -> Talk[None]:
    offered = line.features.get("AUTH", "").split()
    if "PLAIN" in offered:
        answers = [_b64(f"\0{username}\0{password}")]
        reply = yield from line.ask(b"AUTH PLAIN " + answers[0])
    elif "LOGIN" in offered:
        answers = [_b64(username), _b64(password)]
        reply = yield from line.ask(b"AUTH LOGIN")
    else:
        raise Failed(not_handed_over(later("The relay offers no sign-in with a password.")))
    for answer in answers:
        if reply.code == 334:
            reply = yield from line.ask(answer)
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
