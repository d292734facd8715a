"""One visit: the installation, its relays, and what the world sees of its senders."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from crm.cli.doctor import installation, relays, senders, site
from crm.cli.doctor.asking import Dns
from crm.cli.doctor.lines import Line
from crm.cli.doctor.senders import Key, Senders
from crm.clinic.models import Clinic
from crm.clinic.service import details
from crm.config import Settings
from crm.mail.dkim_keys import KeyFault, State, record, stored
from crm.mail.records import Finding, Mark
from crm.relays.service import Standing, relays_of, standings


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """How the doctor looks out of this machine."""

    dns: Dns | None
    """None: nothing is asked of the internet, relays excepted."""
    tls: ssl.SSLContext
    at: datetime


def examine(session: Session, settings: Settings, outside: Outside) -> Iterator[Line]:
    """Return all lines, each as soon as it is known."""
    yield from installation.examine(session, settings)
    if outside.dns is not None:
        yield site.unsubscribing(settings, tls=outside.tls, at=outside.at)
    try:
        named = relays_of(settings)
    except ValueError as fault:
        yield Line(thing="relay", about="", finding=Finding(Mark.FAULT, str(fault)))
        return
    for one in named:
        yield relays.connection(one, tls=outside.tls, hello=settings.public_host, at=outside.at)
    try:
        found, clinic = standings(session, settings), details(session)
    except (OperationalError, ProgrammingError):  # told of by the installation's lines
        session.rollback()
        return
    yield from map(relays.declared, found)
    if outside.dns is not None:
        yield from _in_dns(found, clinic, settings, outside.dns)


def _in_dns(found: list[Standing], clinic: Clinic, settings: Settings, dns: Dns) -> Iterator[Line]:
    for one in found:
        yield from relays.reverse(one, dns.ask)
    authors = _domains(clinic.news_email, clinic.service_email)
    keys: list[Key] = []
    for domain in authors:
        try:
            keys += _keys(settings, domain)
        except KeyFault as fault:
            do = "no letter of this domain leaves until its key can be read"
            yield Line(thing="DKIM", about=domain, finding=Finding(Mark.FAULT, str(fault), do))
    of_whom = Senders(authors=authors, bounces=clinic.bounce_domain or None, keys=keys)
    yield from senders.examine(of_whom, found, dns.ask)


def _keys(settings: Settings, domain: str) -> list[Key]:
    return [
        Key(
            domain=domain,
            selector=one.signer.selector,
            record=record(one.signer),
            is_in_use=one.state is State.IN_USE,
        )
        for one in stored(settings.state_dir / "dkim", domain)
        if one.state is not State.RETIRED
    ]


def _domains(*addresses: str) -> list[str]:
    """Return the domains of addresses, each once, as DNS knows them."""
    named = [address.rpartition("@")[2].lower() for address in addresses if address]
    return list(dict.fromkeys(name.encode("idna").decode() for name in named))
