"""The relays of SMTP_URL: whether they answer, in private, and bear names of their own."""

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from typing import Any

from crm.cli.doctor import certificates
from crm.cli.doctor.asking import Silent, backwards
from crm.cli.doctor.lines import SILENT, Line, look, passed_over
from crm.mail.records import Ask, Finding, Mark
from crm.mail.records.spf import IP
from crm.mail.smtp import Relay
from crm.relays.rules import Bond, Refusal, is_this_machine, name_of
from crm.relays.service import Standing

WAIT_S = 3.0
DECLARE = "declare it in the browser under “Mail relays”"
REFUSED = {
    Refusal.UNDECLARED: "gets no letters: nobody has declared whose server it is",
    Refusal.ABROAD: "gets no letters: it is declared to stand outside Russia",
    Refusal.NOT_A_PROCESSOR: "gets no letters: its owner is not bound by a contract",
}


def connection(relay: Relay, *, tls: ssl.SSLContext, hello: str, at: datetime) -> Line:
    """Return whether the relay answers, and what its certificate is worth.

    ``hello`` is how we introduce ourselves.
    """
    try:
        certificate = _greet(relay, tls=tls, hello=hello)
    except ssl.SSLCertVerificationError as fault:
        do = "letters wait until it shows a certificate that can be verified"
        finding = Finding(Mark.FAULT, certificates.refused(fault), do)
    except ssl.SSLError:
        do = "look whether its port in SMTP_URL is one for smtps:// or for smtp://"
        finding = Finding(Mark.FAULT, "answers, but cannot be spoken to in private", do)
    except smtplib.SMTPConnectError:
        finding = Finding(Mark.FAULT, "answers, but takes no letters now")
    except smtplib.SMTPNotSupportedError:
        do = "letters wait: ask its owner to switch STARTTLS on"
        finding = Finding(Mark.FAULT, "offers no STARTTLS", do)
    except OSError:
        finding = Finding(Mark.FAULT, "does not answer", "look at SMTP_URL")
    else:
        finding = _privacy(relay, certificate, at=at)
    return Line(thing="relay", about=name_of(relay), finding=finding)


def declared(standing: Standing) -> Line:
    """Return whether the relay may be given letters at all."""
    if standing.refusal is not None:
        finding = Finding(Mark.FAULT, REFUSED[standing.refusal], DECLARE)
    elif standing.is_this_machine:
        finding = Finding(Mark.OK, "this machine’s own: whatever it forwards to, write it down")
    else:
        finding = Finding(Mark.OK, "declared, and may be given letters")
    return Line(thing="declared", about=standing.name, finding=finding)


def reverse(standing: Standing, ask: Ask) -> Iterator[Line]:
    """Return for each public address of the relay whether its name leads back to it."""
    if is_this_machine(standing.relay) or is_reserved(standing.relay.host):
        yield passed_over("PTR", standing.name, "not a public server")
        return
    try:
        found = public_addresses(standing.relay, ask)
    except Silent:
        yield Line(thing="PTR", about=standing.name, finding=SILENT)
        return
    if not found:
        yield passed_over("PTR", standing.name, "no public address")
    for address in found:
        yield look("PTR", str(address), partial(_leads_back, address, ask, standing))


def is_reserved(host: str) -> bool:
    """Return whether a name is for tests and documents only: DNS knows none of them.

    Source: RFC 2606, RFC 6761.
    """
    last = host.rstrip(".").rpartition(".")[2]
    return last in {"example", "test", "invalid", "localhost"}


def public_addresses(relay: Relay, ask: Ask) -> list[IP]:
    """Return where on the internet the relay stands; a smart host may send from elsewhere."""
    try:
        every: list[IP] = [ip_address(relay.host)]
    except ValueError:
        names: Sequence[str] = [*ask(relay.host, "A"), *ask(relay.host, "AAAA")]
        every = [ip_address(name) for name in names]
    return [one for one in every if one.is_global]


def is_ours(standing: Standing) -> bool:
    """Return whether the clinic runs the relay, so that its address is the one providers see."""
    return standing.declaration is not None and standing.declaration.bond is Bond.OWN


def _greet(relay: Relay, *, tls: ssl.SSLContext, hello: str) -> dict[str, Any] | None:
    """Say hello and goodbye; return the certificate that was shown and believed."""
    line: smtplib.SMTP
    if relay.implicit_tls:
        line = smtplib.SMTP_SSL(relay.host, relay.port, hello, timeout=WAIT_S, context=tls)
    else:
        line = smtplib.SMTP(relay.host, relay.port, hello, timeout=WAIT_S)
    with closing(line):
        if relay.starttls:
            line.starttls(context=tls)
        line.ehlo_or_helo_if_needed()
        certificate = line.sock.getpeercert() if isinstance(line.sock, ssl.SSLSocket) else None
        line.quit()
    return certificate


def _privacy(relay: Relay, certificate: dict[str, Any] | None, *, at: datetime) -> Finding:
    if certificate:
        return certificates.lasting(certificate, at=at)
    if is_this_machine(relay):
        return Finding(Mark.OK, "answers")
    do = "take ?starttls=never out of SMTP_URL"
    return Finding(Mark.FAULT, "answers, and letters travel to it in the clear", do)


def _leads_back(address: IP, ask: Ask, standing: Standing) -> Finding:
    mark = Mark.FAULT if is_ours(standing) else Mark.HINT
    do = f"whoever leased the address of {standing.name} sets its PTR record to the server’s name"
    names = ask(backwards(str(address)), "PTR")
    if not names:
        return Finding(mark, "has no name, and nameless servers are refused", do)
    kind = "A" if address.version == 4 else "AAAA"
    if not any(ip_address(one) == address for name in names for one in ask(name, kind)):
        return Finding(mark, f"is called {names[0]}, which does not lead back to it", do)
    return Finding(Mark.OK, f"is called {names[0]}, which leads back to it")
