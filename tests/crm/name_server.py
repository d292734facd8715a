"""A name server on loopback, over UDP and TCP, that answers from a dictionary."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = dict[str, Sequence[str]]
"""By "name type", such as "clinic.example MX": what stands in a zone file."""
LARGEST_UDP = 1232


def txt(text: str) -> str:
    """Return a TXT record as a zone file has it: strings of 255 octets at most."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


@dataclass
class NameServer:
    zone: Zone
    port: int = 0
    silent: set[str] = field(default_factory=set)
    """Names that get no answer."""
    failing: set[str] = field(default_factory=set)
    """Names that get SERVFAIL."""
    asked: list[str] = field(default_factory=list)
    by_tcp: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, query: bytes) -> dns.message.Message | None:
        asked = dns.message.from_wire(query)
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}")
        if name in self.silent:
            return None
        made = dns.message.make_response(asked)
        records = self.zone.get(f"{name} {kind}", ())
        if name in self.failing:
            made.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            texts = [txt(one) for one in records] if kind == "TXT" else records
            made.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        elif not any(known.split()[0] == name for known in self.zone):
            made.set_rcode(dns.rcode.NXDOMAIN)
        return made


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, sock = self.request
        made = _named(self.server).answer(query)
        if made is None:
            return
        if len(made.to_wire(max_size=65_535)) > LARGEST_UDP:
            made.answer.clear()
            made.flags |= dns.flags.TC
        sock.sendto(made.to_wire(), self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        query = self.rfile.read(int.from_bytes(self.rfile.read(2), "big"))
        server = _named(self.server)
        server.by_tcp += 1
        made = server.answer(query)
        if made is not None:
            wire = made.to_wire(max_size=65_535)
            self.wfile.write(len(wire).to_bytes(2, "big") + wire)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    named: NameServer


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    named: NameServer


def _named(server: socketserver.BaseServer) -> NameServer:
    assert isinstance(server, _UdpServer | _TcpServer)
    return server.named


@contextlib.contextmanager
def name_server(zone: Zone) -> Iterator[NameServer]:
    """A name server for ``zone``, for as long as the ``with`` block lasts."""
    made = NameServer(zone)
    with _TcpServer(("127.0.0.1", 0), _Tcp) as tcp:
        made.port = tcp.server_address[1]
        with _UdpServer(("127.0.0.1", made.port), _Udp) as udp:
            servers: tuple[_TcpServer | _UdpServer, ...] = (tcp, udp)
            for server in servers:
                server.named = made
                threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            try:
                yield made
            finally:
                for server in servers:
                    server.shutdown()
