"""Asking DNS as a mailbox provider does, and never for long."""

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dns.exception import DNSException
from dns.name import from_text
from dns.rdatatype import RdataType
from dns.resolver import NXDOMAIN, NoAnswer, NoResolverConfiguration, Resolver
from dns.reversename import from_address

ANSWER_S = 2.0
"""How long one question waits for its answer."""
ALL_ANSWERS_S = 15.0
"""How long all questions of one visit wait together."""


class Silent(Exception):  # noqa: N818 - what was found, not a fault of the question
    """DNS did not answer; whether the name exists is not known."""


@dataclass(slots=True, kw_only=True)
class Dns:
    """A resolver that answers each question once, and gives up when the visit has taken long.

    ``now_s`` is monotonic.
    """

    resolver: Resolver
    now_s: Callable[[], float] = time.monotonic
    until_s: float = field(init=False)
    _known: dict[tuple[str, str], Sequence[str] | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.until_s = self.now_s() + ALL_ANSWERS_S

    def ask(self, name: str, kind: str) -> Sequence[str]:
        """Return what DNS holds, as `crm.mail.records.Ask` wants it. Raises: Silent."""
        if (name, kind) not in self._known:
            self._known[name, kind] = self._asked(name, kind)
        found = self._known[name, kind]
        if found is None:
            raise Silent(name)
        return found

    def _asked(self, name: str, kind: str) -> Sequence[str] | None:
        left_s = min(ANSWER_S, self.until_s - self.now_s())
        if left_s <= 0:
            return None
        try:
            question = from_text(name)
        except DNSException:
            return []  # no name that DNS could know
        try:
            answer = self.resolver.resolve(question, kind, lifetime=left_s)
        except (NXDOMAIN, NoAnswer):
            return []
        except (DNSException, OSError):
            return None
        return [_text(record) for record in answer]


def resolver(nameserver: str | None) -> Resolver:
    """Return a resolver that asks ``HOST`` or ``HOST:PORT``; None: those of this machine.

    Raises: ValueError where that is no address.
    """
    if nameserver is None:
        return _of_this_machine()
    host, _colon, port = nameserver.rpartition(":") if "." in nameserver else ("", "", "")
    made = Resolver(configure=False)
    made.nameservers = [str(ipaddress.ip_address(host or nameserver))]
    made.port = int(port) if host else 53
    return made


def _of_this_machine() -> Resolver:
    try:
        return Resolver()
    except NoResolverConfiguration:
        return Resolver(configure=False)  # asks nobody: every question is silence


def backwards(address: str) -> str:
    """Return the name under which DNS holds the PTR record of an address."""
    return from_address(address).to_text(omit_final_dot=True)


def _text(record: Any) -> str:
    if record.rdtype is RdataType.TXT:
        return b"".join(record.strings).decode("utf-8", "replace")
    if record.rdtype is RdataType.MX:
        record = record.exchange
    return str(record).rstrip(".").lower()
