"""Who may send for a domain: its SPF record, with everything it includes.

Source: RFC 7208.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from crm.mail.records import Ask, Finding, Mark, Unreadable

MOST_LOOKUPS = 10
"""Counted with everything included; more is an error to providers, and no SPF at all."""
MOST_VOID = 2
"""Lookups that find nothing, likewise."""

Network = IPv4Network | IPv6Network
IP = IPv4Address | IPv6Address
EVERYWHERE: list[Network] = [IPv4Network("0.0.0.0/0"), IPv6Network("::/0")]

_TERM = re.compile(r"([-+~?]?)([a-z0-9]+)(?:[:](\S+?))?((?:/\d{1,2})?(?://\d{1,3})?)", re.ASCII)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(\S*)", re.IGNORECASE | re.ASCII)
_NEEDS_VALUE = frozenset({"include", "exists", "ip4", "ip6"})
_KNOWN = _NEEDS_VALUE | {"all", "a", "mx", "ptr"}


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism: ``-all``, ``include:relay.example``, ``ip4:192.0.2.0/24``."""

    qualifier: str
    name: str
    value: str
    lengths: str
    """``/24``, ``//64`` or both, as written."""


@dataclass(frozen=True, slots=True)
class Spf:
    """A record as it is written."""

    terms: tuple[Term, ...]
    redirect: str

    @property
    def ends_in(self) -> str:
        """Return what happens to everybody else: ``-``, ``~``, ``?``, ``+``, or nothing."""
        return next((term.qualifier for term in self.terms if term.name == "all"), "")


@dataclass(slots=True)
class Survey:
    """A domain's record with all that it includes."""

    lookups: int = 0
    void: int = 0
    networks: list[Network] = field(default_factory=list)
    """From where letters pass."""
    is_whole: bool = True
    """False where a macro, ``exists`` or ``ptr`` decides: such networks cannot be listed."""
    ends_in: str = ""
    discouraged: bool = False
    """Whether ``ptr`` stands somewhere, which providers are told to leave unread."""

    def passes(self, address: IP) -> bool:
        """Return whether a letter from ``address`` passes, as far as networks can be listed."""
        return any(address in one for one in self.networks if one.version == address.version)


def is_spf(text: str) -> bool:
    """Return whether a TXT record means to be SPF."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def read(text: str) -> Spf:
    """Return a record's terms. Raises: Unreadable."""
    terms, redirect = [], ""
    for word in text.split()[1:]:
        modifier = _MODIFIER.fullmatch(word)
        if modifier is None:
            terms.append(_term(word))
        elif modifier[1].lower() == "redirect":
            redirect = modifier[2]
    return Spf(tuple(terms), redirect)


def survey(domain: str, ask: Ask) -> Survey:
    """Follow the record of ``domain`` to its ends.

    Raises: Unreadable where any of the records is missing, doubled, breaks the grammar, or where
    they need more than ``MOST_LOOKUPS`` together.
    """
    done = Survey()
    done.ends_in = _walk(domain, ask, done, is_passing=True)
    return done


def finding(domain: str, ask: Ask) -> Finding:
    """Return what a provider makes of the SPF record of ``domain``."""
    if not _records(domain, ask):
        return Finding(
            Mark.FAULT,
            "there is no SPF record",
            'publish a TXT record such as "v=spf1 include:… -all" that names your relays',
        )
    try:
        done = survey(domain, ask)
    except Unreadable as fault:
        return Finding(Mark.FAULT, str(fault), "mend the record: until then it counts for nothing")
    return _judge(done)


def _judge(done: Survey) -> Finding:
    counted = f"one record, {done.lookups} of {MOST_LOOKUPS} lookups"
    if done.ends_in == "+" or any(one.prefixlen == 0 for one in done.networks):
        return Finding(Mark.FAULT, "it lets everybody send in your name", "end it in -all")
    if done.ends_in not in ("-", "~"):
        found = "it says nothing about other senders" if not done.ends_in else "ends in ?all"
        return Finding(Mark.HINT, f"{counted}, {found}", "end it in -all")
    if done.void > MOST_VOID:
        found = f"{done.void} of its names do not exist"
        return Finding(Mark.HINT, f"{counted}, {found}", "remove them: more than two is an error")
    if done.discouraged:
        return Finding(Mark.HINT, f"{counted}, ptr is not read any more", "name the addresses")
    return Finding(Mark.OK, f"{counted}, ends in {done.ends_in}all")


def _term(word: str) -> Term:
    found = _TERM.fullmatch(word.lower())
    if found is None or found[2] not in _KNOWN or (found[2] in _NEEDS_VALUE and not found[3]):
        raise Unreadable(f"“{word[:40]}” in the SPF record cannot be read")
    term = Term(found[1] or "+", found[2], found[3] or "", found[4])
    if term.name in ("ip4", "ip6"):
        _network(term)
    return term


def _network(term: Term) -> Network:
    try:
        found = ip_network(term.value + term.lengths, strict=False)
    except ValueError:
        found = None
    if found is None or found.version != int(term.name[-1]):
        raise Unreadable(f"“{term.name}:{term.value[:40]}” in the SPF record is no address")
    return found


def _records(domain: str, ask: Ask) -> list[str]:
    return [text for text in ask(domain, "TXT") if is_spf(text)]


def _one(domain: str, ask: Ask) -> Spf:
    records = _records(domain, ask)
    if len(records) != 1:
        many = "no SPF record" if not records else f"{len(records)} SPF records instead of one"
        raise Unreadable(f"{domain} has {many}")
    return read(records[0])


def _walk(domain: str, ask: Ask, done: Survey, *, is_passing: bool) -> str:
    spf = _one(domain, ask)
    for term in spf.terms:
        _take(term, domain, ask, done, is_passing=is_passing and term.qualifier == "+")
    if not spf.redirect or spf.ends_in:
        return spf.ends_in
    _count(done)
    if "%" in spf.redirect:
        done.is_whole = False
        return "-"
    return _walk(spf.redirect, ask, done, is_passing=is_passing)


def _take(term: Term, domain: str, ask: Ask, done: Survey, *, is_passing: bool) -> None:
    if term.name == "all":
        return
    if term.name in ("ip4", "ip6"):
        if is_passing:
            done.networks.append(_network(term))
        return
    _count(done)
    done.discouraged |= term.name == "ptr"
    if term.name in ("exists", "ptr") or "%" in term.value:
        done.is_whole = False
    elif term.name == "include":
        ends_in = _walk(term.value, ask, done, is_passing=is_passing)
        done.networks += EVERYWHERE if ends_in == "+" and is_passing else []
    else:
        found = _hosts(term, domain, ask)
        done.void += not found
        done.networks += found if is_passing else []


def _count(done: Survey) -> None:
    done.lookups += 1
    if done.lookups > MOST_LOOKUPS:
        raise Unreadable(f"the SPF record needs more than {MOST_LOOKUPS} lookups")


def _hosts(term: Term, domain: str, ask: Ask) -> list[Network]:
    """Return the networks of ``a`` and ``mx``."""
    name = term.value or domain
    hosts: Sequence[str] = ask(name, "MX") if term.name == "mx" else [name]
    short, _slashes, long = term.lengths.partition("//")
    lengths = {"A": short or "/32", "AAAA": f"/{long or 128}"}
    return [
        ip_network(address + length, strict=False)
        for host in filter(None, hosts)
        for kind, length in lengths.items()
        for address in ask(host, kind)
    ]
