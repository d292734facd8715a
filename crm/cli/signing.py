"""The keys that letters are signed with: made here, published, then put into use."""

from pathlib import Path
from string import ascii_lowercase
from typing import Any

import click

from crm import clock
from crm.cli.doctor.asking import Dns, Silent, resolver
from crm.cli.sentences import Commands
from crm.clinic.service import details
from crm.current import settings
from crm.db import session
from crm.mail.dkim import Signer
from crm.mail.dkim_keys import KeyFault, State, Stored, prepare, record, stored, use
from crm.mail.records import Mark, key

RECORD = """\
{domain}: the key is made, and nothing signs with it yet. Publish this record:

  name   {name}
  type   TXT
  value  {value}
"""
NEXT = "When the world can see it, run: flask --app wsgi crm dkim use {selector}"
NO_SENDER = "Fill in the addresses that letters come from first, at {url}"
SILENT = "DNS does not answer: try again later, or use the key unseen with --without-dns."
STATES = {
    State.PREPARED: "prepared",
    State.IN_USE: "in use",
    State.RETIRED: "retired",
}
STRING_OCTETS = 255
"""The most that one string of a TXT record holds; verifiers join them. RFC 1035 3.3."""


class Keys(Commands):
    """A group whose commands say what is wrong with a key."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a fault becomes a sentence and exit 1."""
        try:
            return super().invoke(ctx)
        except KeyFault as fault:
            raise click.ClickException(f"{fault}.") from fault
        except OSError as error:
            told = f"STATE_DIR cannot be used: {error.strerror or error}."
            raise click.ClickException(told) from error


dkim = Keys("dkim", help="Keys that letters are signed with.")


@dkim.command()
@click.option("--selector", help="The name of the key in DNS; made up from the year if left out.")
@click.option("--ed25519", is_flag=True, help="Ed25519, beside RSA: not every provider reads it.")
def new(selector: str | None, ed25519: bool) -> None:
    """Make a key for each domain that letters come from, and print the records to publish."""
    domains = _senders()
    if not domains:
        raise click.ClickException(NO_SENDER.format(url=settings().public_url))
    chosen = selector or _free_selector(domains)
    for domain in domains:
        signer = prepare(_directory(), domain, chosen, ed25519=ed25519)
        value = " ".join(f'"{part}"' for part in _strings(record(signer)))
        click.echo(RECORD.format(domain=domain, name=_name(signer), value=value))
    click.echo(NEXT.format(selector=chosen))


@dkim.command("use")
@click.argument("selector")
@click.option("--without-dns", is_flag=True, help="Do not look whether the record is there.")
@click.option("--nameserver", metavar="HOST[:PORT]", help="Ask this one, not this machine's.")
def use_now(selector: str, without_dns: bool, nameserver: str | None) -> None:
    """Sign with this key from now on, if DNS has it, and retire the one that it replaces.

    Leave the record of a retired key in DNS for a month: letters on their way bear it.
    """
    found = [one for one in _all() if one.signer.selector == selector]
    if not found:
        raise click.ClickException(f"There is no key {selector}: `crm dkim list` shows all.")
    if not without_dns:
        _insist_on_dns([one.signer for one in found], nameserver)
    for one in found:
        use(_directory(), one)
        click.echo(f"{one.signer.domain}: letters are signed with {selector} from now on.")


@dkim.command("list")
def list_all() -> None:
    """Show all keys and whether letters are signed with them."""
    found = _all()
    for one in found:
        algorithm = one.signer.algorithm
        click.echo(f"{STATES[one.state]:<9} {algorithm:<8} {_name(one.signer)}")
    if not found:
        click.echo("There are no keys: letters are not signed. Make one with `crm dkim new`.")


def _insist_on_dns(signers: list[Signer], nameserver: str | None) -> None:
    try:
        dns = Dns(resolver=resolver(nameserver))
    except ValueError:
        raise click.BadParameter("write an address, such as 192.0.2.1 or 192.0.2.1:53") from None
    for signer in signers:
        try:
            finding = key.finding(record(signer), dns.ask(_name(signer), "TXT"))
        except Silent as error:
            raise click.ClickException(SILENT) from error
        if finding.mark is Mark.FAULT:
            raise click.ClickException(f"{_name(signer)}: {finding.found}; {finding.do}.")


def _directory() -> Path:
    return settings().state_dir / "dkim"


def _senders() -> list[str]:
    clinic = details(session())
    addresses = [address for address in (clinic.news_email, clinic.service_email) if address]
    return list(dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses))


def _all() -> list[Stored]:
    folders = sorted(_directory().glob("*/"))
    return [one for folder in folders for one in stored(_directory(), folder.name)]


def _free_selector(domains: list[str]) -> str:
    taken = {one.signer.selector for domain in domains for one in stored(_directory(), domain)}
    named = [f"s{clock.now().year}{letter}" for letter in ascii_lowercase]
    free = [selector for selector in named if selector not in taken]
    if not free:
        raise KeyFault("the selectors of this year are used up: choose one with --selector")
    return free[0]


def _name(signer: Signer) -> str:
    return f"{signer.selector}._domainkey.{signer.domain}"


def _strings(value: str) -> list[str]:
    return [value[at : at + STRING_OCTETS] for at in range(0, len(value), STRING_OCTETS)]
