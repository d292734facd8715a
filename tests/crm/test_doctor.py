"""What the doctor says of relays, of the senders' DNS and of the unsubscribe address."""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dns.resolver import Resolver
from flask import Flask
from sqlalchemy.orm import Session

from crm.cli.doctor import relays, senders, site
from crm.cli.doctor.asking import ALL_ANSWERS_S, ANSWER_S, Dns, Silent, resolver
from crm.cli.doctor.lines import Line
from crm.cli.doctor.senders import Key, Senders
from crm.config import Settings
from crm.mail.dkim_keys import prepare, record, stored, use
from crm.mail.records import Mark
from crm.mail.smtp import Relay
from crm.relays.models import RelayDeclaration
from crm.relays.rules import Bond, refusal
from crm.relays.service import Standing
from devtools import ports
from tests.crm.name_server import NameServer, Zone, name_server
from tests.crm.tls_servers import Certificate, a_certificate, a_relay, a_site, serving
from tests.factories import NOON, a_clinic, a_member_of_staff, consent_texts

RECORD = "v=DKIM1; k=ed25519; p=" + "b29v" * 10 + "b2w="
GOOD: Zone = {
    "clinic.internal TXT": ["v=spf1 include:relay.internal -all"],
    "clinic.internal MX": ["10 mail.clinic.internal."],
    "_dmarc.clinic.internal TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@clinic.internal"],
    "k1._domainkey.clinic.internal TXT": [RECORD],
    "bounce.clinic.internal TXT": ["v=spf1 ip4:1.2.3.4 -all"],
    "bounce.clinic.internal MX": ["10 mail.clinic.internal."],
    "mail.clinic.internal A": ["1.2.3.5"],
    "relay.internal TXT": ["v=spf1 ip4:1.2.3.0/28 -all"],
    "relay.internal A": ["1.2.3.4"],
    "4.3.2.1.in-addr.arpa PTR": ["relay.internal."],
}
SENDERS = Senders(
    authors=["clinic.internal"],
    bounces="bounce.clinic.internal",
    keys=[Key(domain="clinic.internal", selector="k1", record=RECORD)],
)


def declared(bond: Bond = Bond.OWN, *, host: str = "relay.internal") -> Standing:
    relay = Relay(host, 587)
    declaration = RelayDeclaration(
        relay="relay.internal:587",
        owner="ООО «Север»",
        country="RU",
        bond=bond,
        declared_at=NOON,
        declared_by=1,
    )
    return Standing(relay=relay, declaration=declaration, refusal=refusal(relay, declaration))


@pytest.fixture
def names() -> Iterator[NameServer]:
    with name_server(dict(GOOD)) as made:
        yield made


@pytest.fixture
def dns(names: NameServer) -> Dns:
    return Dns(resolver=resolver(names.address))


def said(lines: Iterator[Line]) -> dict[str, Line]:
    """Lines by thing and what they are about; of two alike, the worse."""
    found: dict[str, Line] = {}
    for line in lines:
        key = f"{line.thing} {line.about}"
        if key not in found or found[key].finding.mark is Mark.OK:
            found[key] = line
    return found


def test_dns_is_asked_once_and_answers_in_plain_text(names: NameServer, dns: Dns) -> None:
    names.zone["long.internal TXT"] = ["x" * 300]
    assert dns.ask("clinic.internal", "MX") == ["mail.clinic.internal"]
    assert dns.ask("4.3.2.1.in-addr.arpa", "PTR") == ["relay.internal"]
    assert dns.ask("long.internal", "TXT") == ["x" * 300]
    assert dns.ask("nobody.internal", "A") == []
    assert dns.ask("clinic.internal", "AAAA") == []
    assert dns.ask("no..name", "A") == dns.ask("x" * 64 + ".internal", "A") == []
    dns.ask("clinic.internal", "MX")
    assert names.asked.count("clinic.internal MX") == 1


def test_an_answer_too_large_for_one_packet_comes_by_tcp(names: NameServer, dns: Dns) -> None:
    names.zone["large.internal TXT"] = ["y" * 4000]
    assert dns.ask("large.internal", "TXT") == ["y" * 4000]
    assert names.by_tcp == 1


def test_a_zone_that_fails_is_silence_and_not_absence(names: NameServer, dns: Dns) -> None:
    names.failing.add("clinic.internal")
    with pytest.raises(Silent):
        dns.ask("clinic.internal", "TXT")


def test_a_server_that_never_answers_is_given_up_when_the_time_is_over(names: NameServer) -> None:
    names.silent.add("clinic.internal")
    clock = iter([100.0, 99.7 + ALL_ANSWERS_S])
    dns = Dns(resolver=resolver(names.address), now_s=lambda: next(clock))
    began = time.monotonic()
    with pytest.raises(Silent):
        dns.ask("clinic.internal", "MX")
    assert time.monotonic() - began < ANSWER_S
    assert names.asked


def test_when_the_visit_has_taken_long_nothing_more_is_asked(names: NameServer) -> None:
    clock = iter([100.0, 100.0 + ALL_ANSWERS_S])
    dns = Dns(resolver=resolver(names.address), now_s=lambda: next(clock))
    with pytest.raises(Silent):
        dns.ask("clinic.internal", "MX")
    assert names.asked == []


def test_a_machine_without_name_servers_is_silence() -> None:
    with pytest.raises(Silent):
        Dns(resolver=Resolver(configure=False)).ask("clinic.internal", "MX")


def test_a_well_kept_sender_has_nothing_to_mend(dns: Dns) -> None:
    found = said(senders.examine(SENDERS, [declared()], dns.ask))
    assert {line.finding.mark for line in found.values()} == {Mark.OK}
    assert {line.thing for line in found.values()} == {"SPF", "MX", "DMARC", "DKIM", "proof"}


@pytest.mark.parametrize(
    ("change", "line", "mark", "told"),
    [
        ({"clinic.internal TXT": []}, "SPF clinic.internal", Mark.FAULT, "no SPF record"),
        (
            {"relay.internal TXT": []},
            "SPF clinic.internal",
            Mark.FAULT,
            "relay.internal has no SPF record",
        ),
        (
            {"bounce.clinic.internal TXT": ["v=spf1 ip4:1.2.3.9 -all"]},
            "SPF bounce.clinic.internal",
            Mark.FAULT,
            "does not name 1.2.3.4",
        ),
        (
            {"bounce.clinic.internal TXT": ["v=spf1 exists:%{i}.relay.internal -all"]},
            "SPF bounce.clinic.internal",
            Mark.HINT,
            "does not name 1.2.3.4",
        ),
        ({"bounce.clinic.internal MX": []}, "MX bounce.clinic.internal", Mark.FAULT, "takes no"),
        (
            {"clinic.internal MX": ["0 ."]},
            "MX clinic.internal",
            Mark.FAULT,
            "says that it takes no",
        ),
        (
            {"clinic.internal MX": ["5 gone.internal."]},
            "MX clinic.internal",
            Mark.FAULT,
            "gone.internal has no address",
        ),
        (
            {"clinic.internal MX": [], "clinic.internal A": ["1.2.3.4"]},
            "MX clinic.internal",
            Mark.HINT,
            "no MX record",
        ),
        ({"_dmarc.clinic.internal TXT": []}, "DMARC clinic.internal", Mark.FAULT, "no DMARC"),
        (
            {"_dmarc.clinic.internal TXT": ["v=DMARC1; p=none; rua=mailto:d@clinic.internal"]},
            "DMARC clinic.internal",
            Mark.HINT,
            "policy none",
        ),
        (
            {"_dmarc.clinic.internal TXT": ["v=DMARC1; p=reject; aspf=s"]},
            "proof clinic.internal",
            Mark.HINT,
            "only DKIM",
        ),
        (
            {"k1._domainkey.clinic.internal TXT": ["v=DKIM1; p="]},
            "DKIM k1._domainkey.clinic.internal",
            Mark.FAULT,
            "revokes",
        ),
        (
            {"k1._domainkey.clinic.internal TXT": []},
            "DKIM k1._domainkey.clinic.internal",
            Mark.FAULT,
            "not in DNS",
        ),
    ],
)
def test_each_thing_that_a_provider_would_dislike_is_told_with_what_to_do(
    names: NameServer, dns: Dns, change: Zone, line: str, mark: Mark, told: str
) -> None:
    names.zone.update(change)
    found = said(senders.examine(SENDERS, [declared()], dns.ask))[line].finding
    assert (found.mark, told in found.found) == (mark, True), found
    assert found.do


@pytest.mark.parametrize(
    ("bounces", "keys", "mark", "told"),
    [
        ("clinic.internal", [], Mark.HINT, "only SPF"),
        ("relay.internal", SENDERS.keys, Mark.HINT, "only DKIM"),
        ("relay.internal", [], Mark.FAULT, "nothing speaks for it"),
        (
            "relay.internal",
            [Key(domain="relay.internal", selector="r", record=RECORD)],
            Mark.FAULT,
            "nothing speaks for it",
        ),
    ],
)
def test_something_must_speak_for_the_domain_in_from(
    dns: Dns, bounces: str, keys: list[Key], mark: Mark, told: str
) -> None:
    found = senders.proven("clinic.internal", replace(SENDERS, bounces=bounces, keys=keys), dns.ask)
    assert (found.mark, told in found.found) == (mark, True), found


@pytest.mark.parametrize(
    ("change", "told"),
    [({}, "stands in DNS"), ({"k1._domainkey.clinic.internal TXT": []}, "not in DNS")],
)
def test_a_key_that_is_only_prepared_is_a_hint_and_speaks_for_nobody(
    names: NameServer, dns: Dns, change: Zone, told: str
) -> None:
    names.zone.update(change)
    prepared = replace(SENDERS, keys=[replace(SENDERS.keys[0], is_in_use=False)])
    found = said(senders.examine(prepared, [], dns.ask))
    line = found["DKIM k1._domainkey.clinic.internal"].finding
    assert (line.mark, told in line.found) == (Mark.HINT, True)
    assert found["proof clinic.internal"].finding.mark is Mark.HINT


def test_the_keys_of_this_installation_are_looked_for_in_dns(
    app: Flask, settings: Settings, session: Session, names: NameServer
) -> None:
    clinic = a_clinic(session)
    clinic.news_email, clinic.service_email = "news@clinic.internal", "priem@clinic.internal"
    session.commit()
    directory = settings.state_dir / "dkim"
    signer = prepare(directory, "clinic.internal", "k9")
    use(directory, stored(directory, "clinic.internal")[0])
    names.zone["k9._domainkey.clinic.internal TXT"] = [record(signer)]
    arguments = ["crm", "doctor", "--nameserver", names.address]
    said = app.test_cli_runner().invoke(args=arguments).output
    assert "ok     DKIM       k9._domainkey.clinic.internal: the key matches ours" in said
    assert "ok     proof      clinic.internal: both SPF and DKIM speak for it" in said
    (directory / "clinic.internal" / "k9.pem").write_text("no key")
    said = app.test_cli_runner().invoke(args=arguments).output
    assert "FAULT  DKIM       clinic.internal: " in said


def test_a_smart_host_that_spf_does_not_name_is_a_hint_to_ask_its_owner(
    names: NameServer, dns: Dns
) -> None:
    names.zone["bounce.clinic.internal TXT"] = ["v=spf1 ip4:1.2.3.9 -all"]
    relay = declared(Bond.PROCESSOR)
    found = senders.names_relay("bounce.clinic.internal", relay, dns.ask)
    assert (found.mark, "owner" in found.do) == (Mark.HINT, True)


def test_two_domains_of_senders_are_a_hint(dns: Dns) -> None:
    two = replace(SENDERS, authors=["clinic.internal", "relay.internal"])
    found = said(senders.examine(two, [], dns.ask))
    assert found["senders clinic.internal, relay.internal"].finding.mark is Mark.HINT


@pytest.mark.parametrize("domain", ["clinic.example", "clinic.test", "localhost"])
def test_names_for_tests_are_passed_over_and_never_asked_for(
    names: NameServer, dns: Dns, domain: str
) -> None:
    one = Senders(authors=[domain], bounces=None, keys=())
    lines = list(senders.examine(one, [declared()], dns.ask))
    assert [line.finding.mark for line in lines] == [Mark.SKIPPED]
    assert names.asked == []


def test_silence_of_dns_is_said_as_such(names: NameServer, dns: Dns) -> None:
    names.failing.update({"clinic.internal", "relay.internal"})
    found = said(senders.examine(SENDERS, [declared()], dns.ask))
    assert found["SPF clinic.internal"].finding.found == "DNS does not answer"
    assert found["DMARC clinic.internal"].finding.mark is Mark.OK
    reverse = list(relays.reverse(declared(), dns.ask))
    assert [line.finding.found for line in reverse] == ["DNS does not answer"]


@pytest.mark.parametrize(
    ("change", "bond", "mark", "told"),
    [
        ({}, Bond.OWN, Mark.OK, "leads back"),
        ({"4.3.2.1.in-addr.arpa PTR": []}, Bond.OWN, Mark.FAULT, "has no name"),
        ({"4.3.2.1.in-addr.arpa PTR": []}, Bond.PROCESSOR, Mark.HINT, "has no name"),
        (
            {"4.3.2.1.in-addr.arpa PTR": ["mail.clinic.internal."]},
            Bond.OWN,
            Mark.FAULT,
            "does not lead back",
        ),
        ({"relay.internal A": ["10.0.0.8"]}, Bond.OWN, Mark.SKIPPED, "no public address"),
    ],
)
def test_a_relays_address_bears_a_name_that_leads_back(
    names: NameServer, dns: Dns, change: Zone, bond: Bond, mark: Mark, told: str
) -> None:
    names.zone.update(change)
    (line,) = relays.reverse(declared(bond), dns.ask)
    assert (line.finding.mark, told in line.finding.found) == (mark, True), line


def test_what_is_not_declared_is_told_with_where_to_declare_it() -> None:
    relay = Relay("relay.internal", 587)
    standing = Standing(relay=relay, declaration=None, refusal=refusal(relay, None))
    assert "Mail relays" in relays.declared(standing).finding.do
    assert relays.declared(declared()).finding.mark is Mark.OK
    assert relays.declared(declared(host="127.0.0.1")).finding.mark is Mark.OK


MakeCertificate = Callable[..., Certificate]


@pytest.fixture
def certificate(tmp_path: Path) -> MakeCertificate:
    def made(days: int, address: str = "127.0.0.1") -> Certificate:
        at = datetime.now(UTC)
        ends = at + timedelta(days=days, hours=1)
        return a_certificate(tmp_path, ends=ends, at=at, address=address)

    return made


def connection(relay: Relay, tls: ssl.SSLContext) -> Line:
    return relays.connection(relay, tls=tls, hello="crm.test", at=datetime.now(UTC))


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("days", "address", "trusted", "mark", "told"),
    [
        (90, "127.0.0.1", True, Mark.OK, "good for 90 more days"),
        (20, "127.0.0.1", True, Mark.HINT, "good for 20 more days"),
        (-3, "127.0.0.1", True, Mark.FAULT, "has expired"),
        (90, "127.0.0.2", True, Mark.FAULT, "for another address"),
        (90, "127.0.0.1", False, Mark.FAULT, "signed by nobody but itself"),
    ],
)
def test_a_relays_certificate_is_verified_and_its_days_are_counted(
    certificate: MakeCertificate,
    implicit: bool,
    days: int,
    address: str,
    trusted: bool,
    mark: Mark,
    told: str,
) -> None:
    shown = certificate(days, address)
    tls = shown.trusting if trusted else ssl.create_default_context()
    with serving(a_relay(shown, implicit=implicit)) as port:
        relay = Relay("127.0.0.1", port, implicit_tls=implicit, starttls=not implicit)
        found = connection(relay, tls).finding
    assert (found.mark, told in found.found) == (mark, True), found


def test_a_relay_without_starttls_that_needs_it_is_a_fault() -> None:
    with serving(a_relay(None)) as port:
        relay = Relay("127.0.0.1", port, starttls=True)
        assert connection(relay, ssl.create_default_context()).finding.found == (
            "offers no STARTTLS"
        )


def test_smtps_on_a_port_that_speaks_plainly_is_told_as_such() -> None:
    with serving(a_relay(None)) as port:
        relay = Relay("127.0.0.1", port, implicit_tls=True, starttls=False)
        assert "in private" in connection(relay, ssl.create_default_context()).finding.found


def test_this_machines_own_relay_needs_no_privacy() -> None:
    with serving(a_relay(None)) as port:
        relay = Relay("127.0.0.1", port, starttls=False)
        assert connection(relay, ssl.create_default_context()).finding.mark is Mark.OK


def test_a_relay_that_refuses_visitors_and_one_that_is_away_are_told_apart() -> None:
    tls = ssl.create_default_context()
    with serving(lambda sock: sock.sendall(b"554 closed\r\n")) as port:
        relay = Relay("127.0.0.1", port, starttls=False)
        assert "takes no letters" in connection(relay, tls).finding.found
    relay = Relay("127.0.0.1", ports.free(), starttls=False)
    assert "does not answer" in connection(relay, tls).finding.found


@pytest.mark.parametrize(
    ("status", "days", "mark", "told"),
    [
        ("404 Not Found", 90, Mark.OK, "90 more days"),
        ("200 OK", 5, Mark.HINT, "5 more days"),
        ("308 Permanent Redirect", 90, Mark.FAULT, "redirects"),
        ("502 Bad Gateway", 90, Mark.FAULT, "answers 502"),
        ("404 Not Found", -5, Mark.FAULT, "has expired"),
    ],
)
def test_the_unsubscribe_address_must_answer_in_private_and_without_a_redirect(
    settings: Settings,
    certificate: MakeCertificate,
    status: str,
    days: int,
    mark: Mark,
    told: str,
) -> None:
    shown = certificate(days)
    with serving(a_site(shown, status)) as port:
        public = replace(settings, public_url=f"https://127.0.0.1:{port}")
        line = site.unsubscribing(public, tls=shown.trusting, at=datetime.now(UTC))
    assert (line.finding.mark, told in line.finding.found) == (mark, True), line


def test_a_site_that_is_away_is_a_fault_and_one_of_this_machine_is_passed_over(
    settings: Settings,
) -> None:
    tls, at = ssl.create_default_context(), datetime.now(UTC)
    away = replace(settings, public_url=f"https://127.0.0.1:{ports.free()}")
    assert site.unsubscribing(away, tls=tls, at=at).finding.mark is Mark.FAULT
    here = replace(settings, public_url="http://127.0.0.1:8000")
    for one in (here, settings):
        assert site.unsubscribing(one, tls=tls, at=at).finding.mark is Mark.SKIPPED


def test_the_command_speaks_to_machines_and_asks_the_name_server_it_is_told(
    app: Flask, session: Session, names: NameServer
) -> None:
    clinic = a_clinic(session)
    clinic.news_email, clinic.service_email = "news@clinic.internal", "priem@clinic.internal"
    session.commit()
    arguments = ["crm", "doctor", "--json", "--nameserver", names.address]
    done = app.test_cli_runner().invoke(args=arguments)
    lines = json.loads(done.stdout)
    assert {line["thing"] for line in lines} >= {"database", "relay", "declared", "SPF", "DMARC"}
    assert all(set(line) == {"mark", "thing", "about", "found", "do"} for line in lines)
    assert {line["mark"] for line in lines} == {"ok", "hint", "fault", "skipped"}
    assert done.exit_code == 1
    assert "clinic.internal TXT" in names.asked


def test_hints_alone_are_no_reason_to_exit_1(
    app: Flask, session: Session, names: NameServer, willing_relay: str
) -> None:
    clinic = a_clinic(session)
    clinic.ogrn = "1237800901238"
    clinic.news_email, clinic.service_email = "news@clinic.internal", "priem@clinic.internal"
    consent_texts(session, at=datetime.now(UTC) - timedelta(hours=1))
    a_member_of_staff(session, "admin")
    session.commit()
    app.extensions["crm.settings"] = replace(app.extensions["crm.settings"], smtp_url=willing_relay)
    done = app.test_cli_runner().invoke(args=["crm", "doctor", "--nameserver", names.address])
    assert done.exit_code == 0, done.output
    assert "hint   proof      clinic.internal: only SPF" in done.output


@pytest.fixture
def willing_relay() -> Iterator[str]:
    with serving(a_relay(None)) as port:
        yield f"smtp://127.0.0.1:{port}?starttls=never"


def test_offline_asks_no_name_server(app: Flask, session: Session, names: NameServer) -> None:
    clinic = a_clinic(session)
    clinic.news_email = "news@clinic.internal"
    session.commit()
    arguments = ["crm", "doctor", "--offline", "--nameserver", names.address]
    said = app.test_cli_runner().invoke(args=arguments).output
    assert names.asked == []
    assert "SPF" not in said
    assert "ok     declared   127.0.0.1:9" in said


def test_a_url_that_cannot_be_read_is_said_without_its_password(app: Flask) -> None:
    app.extensions["crm.settings"] = replace(
        app.extensions["crm.settings"], smtp_url="smtp://user:geheim@relay.example:port"
    )
    done = app.test_cli_runner().invoke(args=["crm", "doctor", "--offline"])
    assert "FAULT  relay      SMTP_URL cannot be read" in done.output
    assert "geheim" not in done.output


def test_a_name_server_that_is_no_address_is_refused_in_a_sentence(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["crm", "doctor", "--nameserver", "dns.example"])
    assert done.exit_code == 2
    assert "192.0.2.1" in done.output
