"""The operator's commands: exit 0 only where they did, or verified, what they say."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

from crm import logs
from crm.app import create_app
from crm.config import Settings
from crm.consent.models import AddressStanding, ConsentPayload
from crm.contacts.models import Contact
from crm.db import db
from crm.delivery.models import Mailing
from crm.staff.models import RoleName, Staff
from tests.conftest import a_copy
from tests.factories import a_running_mailing, a_willing_contact

COMMANDS = ("setup", "demo", "migrate", "migrations-check", "doctor", "reconcile", "staff add")
LEDGER = ("ledger seal", "ledger verify", "ledger rebuild")


@pytest.fixture
def cli(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def with_settings() -> Iterator[Callable[[Settings], FlaskCliRunner]]:
    """``with_settings(other)`` runs the commands of an application of its own."""
    apps: list[Flask] = []

    def made(settings: Settings) -> FlaskCliRunner:
        apps.append(create_app(settings))
        return apps[-1].test_cli_runner()

    yield made
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def run(cli: FlaskCliRunner, command: str, *arguments: str) -> tuple[int, str]:
    done = cli.invoke(args=["crm", *command.split(), *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize("command", [*COMMANDS, *LEDGER])
def test_every_command_says_what_it_does(cli: FlaskCliRunner, command: str) -> None:
    code, said = run(cli, command, "--help")
    assert code == 0
    assert "Usage:" in said
    assert len(said.splitlines()) > 3


def test_setup_on_a_public_address_creates_nothing_and_says_how_to_begin(
    cli: FlaskCliRunner, session: Session
) -> None:
    code, said = run(cli, "setup")
    assert code == 0
    assert "staff add --role admin" in said
    assert session.scalar(select(Contact.id).limit(1)) is None
    assert session.scalar(select(Staff.id).limit(1)) is None


def test_setup_on_this_machine_loads_the_demo_once(
    settings: Settings, with_settings: Callable[[Settings], FlaskCliRunner]
) -> None:
    cli = with_settings(replace(settings, public_url="http://127.0.0.1:8000"))
    code, said = run(cli, "setup", "--site", "http://127.0.0.1:8026")
    assert code == 0, said
    assert "admin@clinic.example" in said
    assert "demo admin demo" in said
    assert "known to everybody" in said
    code, again = run(cli, "setup", "--site", "http://127.0.0.1:8027")
    assert code == 0
    assert "demo admin demo" not in again
    assert "http://127.0.0.1:8000" in again
    code, said = run(cli, "demo")
    assert (code, "empty database" in said) == (1, True)


def test_a_member_of_staff_is_added_with_a_password_made_up(
    cli: FlaskCliRunner, session: Session
) -> None:
    given = ["--email", "anna@clinic.example", "--name", "Анна", "--role", "dpo", "--password", ""]
    code, said = run(cli, "staff add", *given)
    assert code == 0, said
    staff = session.scalars(select(Staff)).one()
    assert [role.name for role in staff.roles] == [RoleName.DPO]
    password = said.split("once: ")[1].strip()
    assert len(password) >= 12
    assert password not in (staff.password or "")
    code, said = run(cli, "staff add", *given)
    assert code == 1
    assert said.strip().count("\n") == 0


def test_a_bad_address_of_staff_is_one_sentence(cli: FlaskCliRunner) -> None:
    given = ["--email", "anna", "--name", "Анна", "--role", "dpo", "--password", ""]
    code, said = run(cli, "staff add", *given)
    assert code == 1
    assert "Traceback" not in said


def test_a_standing_that_differs_from_the_ledger_is_found_and_mended(
    cli: FlaskCliRunner, session: Session
) -> None:
    a_willing_contact(session)
    session.commit()
    assert run(cli, "ledger rebuild", "--check")[0] == 0
    session.execute(update(AddressStanding).values(confirmed_at=None, grant_event_id=None))
    session.commit()
    code, said = run(cli, "ledger rebuild", "--check")
    assert code == 1
    assert "ledger: 1." in said
    assert "@" not in said
    assert run(cli, "ledger rebuild")[0] == 0
    assert run(cli, "ledger rebuild", "--check")[0] == 0
    session.expire_all()
    assert session.scalars(select(AddressStanding)).one().confirmed_at is not None


def test_a_standing_without_any_event_is_found(cli: FlaskCliRunner, session: Session) -> None:
    contact = a_willing_contact(session)
    session.execute(text("UPDATE standings SET channel = 'sms'"))
    session.commit()
    assert contact.id
    assert "ledger: 2." in run(cli, "ledger rebuild", "--check")[1]


def test_an_event_changed_behind_our_back_breaks_its_seal(
    cli: FlaskCliRunner, session: Session
) -> None:
    a_willing_contact(session)
    session.commit()
    assert run(cli, "ledger seal")[0] == 0
    assert run(cli, "ledger verify")[0] == 0
    session.execute(text("SET LOCAL session_replication_role = replica"))
    session.execute(text("UPDATE consent_events SET source = 'desk'"))
    session.commit()
    code, said = run(cli, "ledger verify")
    assert code == 1
    assert "consent, block 1" in said


def test_evidence_put_in_place_of_other_evidence_is_found(
    cli: FlaskCliRunner, session: Session
) -> None:
    contact = a_willing_contact(session)
    event_id = session.scalar(text("SELECT min(id) FROM consent_events"))
    session.add(ConsentPayload(event_id=event_id or 0, salt=b"1" * 16, evidence={"ip": "invented"}))
    session.commit()
    assert contact.id
    code, said = run(cli, "ledger verify")
    assert code == 1
    assert "invented" not in said


def test_books_that_do_not_add_up_are_named(cli: FlaskCliRunner, session: Session) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    session.commit()
    assert run(cli, "reconcile") == (0, "All 1 mailings add up.\n")
    session.execute(update(Mailing).values(planned=5))
    session.commit()
    code, said = run(cli, "reconcile")
    assert code == 1
    assert f"mailing {mailing.id}: planned 5, deliveries 1" in said


def test_a_mailing_closed_too_early_is_named(cli: FlaskCliRunner, session: Session) -> None:
    a_willing_contact(session)
    a_running_mailing(session)
    session.execute(text("UPDATE mailings SET state = 'finished'"))
    session.commit()
    code, said = run(cli, "reconcile")
    assert code == 1
    assert "closed while letters are queued" in said


def test_the_doctor_names_what_is_unwell(cli: FlaskCliRunner, session: Session) -> None:
    code, said = run(cli, "doctor")
    assert code == 1
    lines = {line.split()[1]: line.split()[0] for line in said.splitlines() if "Error" not in line}
    assert lines == {
        "address": "ok",
        "database": "ok",
        "schema": "ok",
        "state": "ok",
        "broker": "ok",
        "clinic": "FAULT",
        "texts": "FAULT",
        "admin": "FAULT",
        "relay": "FAULT",
        "declared": "ok",
        "one-click": "-",
        "PTR": "-",
    }


def test_the_migrations_make_what_the_models_say(cli: FlaskCliRunner) -> None:
    code, said = run(cli, "migrations-check")
    assert code == 0, said


def test_a_database_that_is_away_is_one_sentence(
    settings: Settings, with_settings: Callable[[Settings], FlaskCliRunner]
) -> None:
    url = "postgresql+psycopg://nobody:hidden@127.0.0.1:9/none"
    cli = with_settings(replace(settings, database_url=url))
    code, said = run(cli, "reconcile")
    assert code == 1
    assert said.startswith("Error: The database cannot be reached")
    assert "hidden" not in said


def test_a_database_without_tables_is_one_sentence(
    settings: Settings,
    server: Engine,
    with_settings: Callable[[Settings], FlaskCliRunner],
) -> None:
    with a_copy(server, "template0") as url:
        _without_tables(replace(settings, database_url=url), with_settings)


def _without_tables(
    settings: Settings, with_settings: Callable[[Settings], FlaskCliRunner]
) -> None:
    code, said = run(with_settings(settings), "reconcile")
    assert code == 1
    assert "crm migrate" in said
    code, said = run(with_settings(settings), "doctor")
    assert code == 1
    assert "FAULT  schema     older than this version: run `crm migrate`" in said
    assert len(said.splitlines()) == 11


def test_wrong_settings_are_one_sentence_that_holds_no_secret() -> None:
    variables = {**os.environ, "SECRET_KEYS": "short-secret"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "crm", "doctor"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0
    assert "SECRET_KEYS" in done.stderr
    assert "short-secret" not in done.stderr


def test_a_line_of_the_log_holds_the_ids_and_never_the_words_of_an_exception() -> None:
    logger = logging.getLogger("a.test")
    try:
        raise ValueError("anna@pochta.example")
    except ValueError:
        record = logger.makeRecord(
            "a.test", logging.ERROR, __file__, 1, "letter lost", (), sys.exc_info(),
            extra={"delivery_id": 7},
        )  # fmt: skip
    line = json.loads(logs.Json().format(record))
    assert (line["event"], line["delivery_id"], line["trace"][-1]) == (
        "letter lost",
        7,
        "ValueError",
    )
    for said in (logs.Json().format(record), logs.Text().format(record)):
        assert "anna" not in said
    assert "delivery_id=7" in logs.Text().format(record)
