"""The commands that make, publish and use the keys that letters are signed with."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.mail.dkim_keys import State, load_signers, record, stored
from tests.crm.name_server import NameServer, name_server
from tests.factories import a_clinic

DOMAIN = "clinic.example"
NAME = f"s2026a._domainkey.{DOMAIN}"


@pytest.fixture
def cli(app: Flask, session: Session) -> FlaskCliRunner:
    clinic = a_clinic(session)
    clinic.news_email = f"news@{DOMAIN}"
    clinic.service_email = f"visits@{DOMAIN}"
    session.commit()
    return app.test_cli_runner()


@pytest.fixture
def directory(settings: Settings) -> Path:
    return settings.state_dir / "dkim"


@pytest.fixture
def names() -> Iterator[NameServer]:
    with name_server({}) as made:
        yield made


def run(cli: FlaskCliRunner, command: str, *arguments: str) -> tuple[int, str]:
    done = cli.invoke(args=["crm", "dkim", *command.split(), *arguments])
    return done.exit_code, done.output


def states(directory: Path) -> dict[str, State]:
    return {one.signer.selector: one.state for one in stored(directory, DOMAIN)}


def published(directory: Path) -> str:
    [one] = stored(directory, DOMAIN)
    return record(one.signer)


def test_a_new_key_is_printed_as_a_record_and_not_used(
    cli: FlaskCliRunner, directory: Path
) -> None:
    code, said = run(cli, "new --selector s2026a")
    assert code == 0
    strings = re.findall(r'"([^"]*)"', said)
    assert "".join(strings) == published(directory)
    assert max(map(len, strings)) <= 255
    assert len(strings) == 2
    assert f"name   {NAME}\n" in said
    assert "dkim use s2026a" in said
    assert load_signers(directory, DOMAIN) == []


def test_selectors_are_made_up_in_turn(cli: FlaskCliRunner, directory: Path) -> None:
    for _ in range(2):
        assert run(cli, "new --ed25519")[0] == 0
    assert [re.sub(r"\d{4}", "-", selector) for selector in states(directory)] == ["s-a", "s-b"]


def test_each_domain_that_letters_come_from_gets_a_key(
    cli: FlaskCliRunner, session: Session, directory: Path
) -> None:
    clinic = a_clinic(session)
    clinic.service_email = "visits@visits.example"
    session.commit()
    code, said = run(cli, "new --ed25519 --selector s2026a")
    assert code == 0
    assert "s2026a._domainkey.visits.example" in said
    assert run(cli, "use s2026a --without-dns")[0] == 0
    for domain in (DOMAIN, "visits.example"):
        assert [one.domain for one in load_signers(directory, domain)] == [domain]


def test_a_clinic_without_addresses_has_no_domain_to_sign_for(app: Flask, session: Session) -> None:
    clinic = a_clinic(session)
    clinic.news_email = clinic.service_email = ""
    session.commit()
    code, said = run(app.test_cli_runner(), "new")
    assert code == 1
    assert "Fill in the addresses" in said


def test_a_key_is_used_when_dns_has_it(
    cli: FlaskCliRunner, directory: Path, names: NameServer
) -> None:
    run(cli, "new --selector s2026a")
    names.zone[f"{NAME} TXT"] = [published(directory)]
    code, said = run(cli, "use s2026a --nameserver", names.address)
    assert (code, states(directory)) == (0, {"s2026a": State.IN_USE})
    assert f"{DOMAIN}: letters are signed with s2026a from now on." in said


@pytest.mark.parametrize(
    ("in_dns", "why"),
    [
        ([], "the key is not in DNS"),
        (["v=DKIM1; k=ed25519; p=AAAA"], "another key"),
        (["v=DKIM1; p="], "revokes"),
    ],
)
def test_a_key_that_dns_does_not_have_is_not_used(
    cli: FlaskCliRunner, directory: Path, names: NameServer, in_dns: list[str], why: str
) -> None:
    run(cli, "new --ed25519 --selector s2026a")
    names.zone[f"{NAME} TXT"] = in_dns
    code, said = run(cli, "use s2026a --nameserver", names.address)
    assert (code, states(directory)) == (1, {"s2026a": State.PREPARED})
    assert why in said


def test_while_dns_is_silent_a_key_is_not_used_unless_told_so(
    cli: FlaskCliRunner, directory: Path, names: NameServer
) -> None:
    run(cli, "new --ed25519 --selector s2026a")
    names.failing.add(NAME)
    code, said = run(cli, "use s2026a --nameserver", names.address)
    assert (code, states(directory)) == (1, {"s2026a": State.PREPARED})
    assert "DNS does not answer" in said
    assert run(cli, "use s2026a --without-dns")[0] == 0
    assert states(directory) == {"s2026a": State.IN_USE}


def test_the_list_tells_how_far_each_key_is(cli: FlaskCliRunner) -> None:
    assert "letters are not signed" in run(cli, "list")[1]
    for selector in ("e1", "e2", "e3"):
        run(cli, "new --ed25519 --selector", selector)
    for selector in ("e1", "e2"):
        run(cli, "use --without-dns", selector)
    code, said = run(cli, "list")
    assert code == 0
    assert [line.split(" ed25519")[0].strip() for line in said.splitlines()] == [
        "retired",
        "in use",
        "prepared",
    ]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("use s2026a", "There is no key s2026a"),
        ("new --selector S.1", "small letters"),
        ("new --selector taken", "has a key taken already"),
        ("use taken --nameserver somewhere", "write an address"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(cli: FlaskCliRunner, command: str, why: str) -> None:
    run(cli, "new --ed25519 --selector taken")
    code, said = run(cli, command)
    assert code != 0
    assert why in said
    assert "Traceback" not in said


def test_a_key_that_cannot_be_read_is_named(cli: FlaskCliRunner, directory: Path) -> None:
    run(cli, "new --ed25519 --selector s2026a")
    (directory / DOMAIN / "s2026a.pem.new").write_bytes(b"no key")
    code, said = run(cli, "list")
    assert code == 1
    assert "s2026a.pem.new: cannot be read as a key." in said
