"""The domains that letters come from: what a mailbox provider reads about them in DNS."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from crm.cli.doctor.lines import Line, look, passed_over
from crm.cli.doctor.relays import is_ours, is_reserved, public_addresses
from crm.mail.records import Ask, Finding, Mark, Unreadable, dmarc, key, spf
from crm.relays.rules import is_this_machine
from crm.relays.service import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that letters are signed with."""

    domain: str
    selector: str
    record: str
    """As it should stand in DNS."""
    is_in_use: bool = True
    """False while it is prepared: nothing is signed with it before its record is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """Domains, in ASCII and lower case, and what letters from them bear."""

    authors: Sequence[str]
    """Of From: what a person sees, and what DMARC protects."""
    bounces: str | None
    """Of the return path; None where bounces go to the address in From."""
    keys: Sequence[Key]

    @property
    def domains(self) -> list[str]:
        """Return each domain once."""
        return list(dict.fromkeys([*self.authors, *([self.bounces] if self.bounces else [])]))


def examine(senders: Senders, relays: Sequence[Standing], ask: Ask) -> Iterator[Line]:
    """Return a line for each thing that a provider looks at."""
    for domain in senders.domains:
        if is_reserved(domain):
            yield passed_over("sender", domain, "a name for tests and documents")
            continue
        yield look("SPF", domain, partial(spf.finding, domain, ask))
        if domain == senders.bounces or not senders.bounces:
            yield from _relays_in(domain, relays, ask)
        yield look("MX", domain, partial(incoming, domain, ask))
        if domain in senders.authors:
            yield from _author(domain, senders, ask)
    if len(set(senders.authors)) > 1:
        yield _apart(senders.authors)


def incoming(domain: str, ask: Ask) -> Finding:
    """Return whether letters to ``domain`` arrive: bounces, complaints and answers."""
    hosts = ask(domain, "MX")
    if not hosts:
        if ask(domain, "A"):
            return Finding(Mark.HINT, "has no MX record", "name the server that takes its letters")
        return Finding(Mark.FAULT, "takes no letters: bounces are lost", "publish an MX record")
    if "" in hosts:
        told = "its MX record says that it takes no letters"
        return Finding(Mark.FAULT, told, "name a server: such senders are refused")
    lost = [host for host in hosts if not ask(host, "A") and not ask(host, "AAAA")]
    if lost:
        return Finding(
            Mark.FAULT, f"its mail server {lost[0]} has no address", "mend the MX record"
        )
    return Finding(Mark.OK, f"takes letters at {hosts[0]}")


def names_relay(domain: str, relay: Standing, ask: Ask) -> Finding:
    """Return whether SPF lets letters of the domain come from this relay."""
    addresses = public_addresses(relay.relay, ask)
    try:
        surveyed = spf.survey(domain, ask)
    except Unreadable:
        return Finding(Mark.SKIPPED, f"not looked for {relay.name}: there is no SPF to read")
    lost = [one for one in addresses if not surveyed.passes(one)]
    if not lost:
        return Finding(Mark.OK, f"lets {relay.name} send")
    told = f"does not name {lost[0]}, the address of {relay.name}"
    if not surveyed.is_whole:
        return Finding(Mark.HINT, f"{told}, in words that can be followed", "send a test letter")
    if is_ours(relay):
        return Finding(Mark.FAULT, told, "add it, unless the server sends from other addresses")
    return Finding(Mark.HINT, told, "ask the relay’s owner what to include")


def proven(author: str, senders: Senders, ask: Ask) -> Finding:
    """Return what proves to a provider that a letter is from the domain in From."""
    own = dmarc.walk(author, ask)
    path = dmarc.walk(senders.bounces or author, ask)
    domains = dict.fromkeys(one.domain for one in senders.keys if one.is_in_use)
    signed = [dmarc.walk(domain, ask) for domain in domains]
    by_spf = dmarc.is_aligned(own, path, strict=own.policy.get("aspf") == "s")
    by_dkim = any(
        dmarc.is_aligned(own, one, strict=own.policy.get("adkim") == "s") for one in signed
    )
    if by_spf and by_dkim:
        return Finding(Mark.OK, "both SPF and DKIM speak for it")
    if by_spf:
        told = "only SPF speaks for it, which a forwarded letter loses"
        return Finding(Mark.HINT, told, "sign with DKIM, here with `crm dkim new` or at the relay")
    if by_dkim:
        told = f"only DKIM speaks for it: bounces go to {path.domain}"
        return Finding(Mark.HINT, told, "let bounces go to a subdomain of it")
    told = f"nothing speaks for it: bounces go to {path.domain}, and no key is of its own"
    return Finding(Mark.FAULT, told, "sign with DKIM for this domain: run `crm dkim new`")


def _author(domain: str, senders: Senders, ask: Ask) -> Iterator[Line]:
    yield look("DMARC", domain, partial(dmarc.finding, domain, ask))
    yield look("proof", domain, partial(_proven, domain, senders, ask))
    for one in senders.keys:
        if one.domain == domain:
            name = f"{one.selector}._domainkey.{domain}"
            yield look("DKIM", name, partial(_key, one, name, ask))


def _key(one: Key, name: str, ask: Ask) -> Finding:
    found = key.finding(one.record, ask(name, "TXT"))
    if one.is_in_use:
        return found
    if found.mark is Mark.FAULT:
        return Finding(Mark.HINT, f"prepared, not yet in use: {found.found}", found.do)
    use = f"sign with it by `crm dkim use {one.selector}`"
    return Finding(Mark.HINT, "prepared, and its record stands in DNS", use)


def _proven(author: str, senders: Senders, ask: Ask) -> Finding:
    try:
        return proven(author, senders, ask)
    except Unreadable:
        return Finding(Mark.SKIPPED, "not looked at: a DMARC record cannot be read")


def _relays_in(domain: str, relays: Sequence[Standing], ask: Ask) -> Iterator[Line]:
    for one in relays:
        if not is_this_machine(one.relay) and not is_reserved(one.relay.host):
            yield look("SPF", domain, partial(names_relay, domain, one, ask))


def _apart(authors: Sequence[str]) -> Line:
    told = "promotional and service letters come from different domains"
    do = "two names on one domain share its good reputation"
    return Line(thing="senders", about=", ".join(authors), finding=Finding(Mark.HINT, told, do))
