"""Declaring whose a mail relay is, and what follows for sending."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.config import Settings
from crm.relays.models import RelayDeclaration
from crm.relays.rules import Refusal
from crm.relays.service import standings, usable
from tests.conftest import Time
from tests.factories import a_clinic

As = Callable[..., FlaskClient]
PAGE = "/relays/mail.provider.example:587"
GOOD = {
    "owner": "ООО «Почта»",
    "country": "RU",
    "bond": "processor",
    "contract": "Договор 17/2026",
    "contract_on": "2026-11-02",
    "note": "",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    urls = "smtp://user:pass@mail.provider.example smtps://user:pass@spare.example smtp://127.0.0.1"
    return replace(settings, smtp_url=urls)


@pytest.fixture(autouse=True)
def clinic(session: Session, time: Time) -> None:
    a_clinic(session)
    session.commit()


def names(session: Session, settings: Settings) -> list[str]:
    return [relay.host for relay in usable(session, settings)]


@pytest.mark.parametrize("role", ["admin", "dpo"])
def test_a_declared_processor_in_russia_may_send_and_comes_in_order_of_preference(
    app: Flask, session: Session, signed_in: As, settings: Settings, role: str
) -> None:
    client = signed_in(role)
    assert names(session, settings) == ["127.0.0.1"]
    assert client.post(PAGE, data=GOOD).status_code == 303
    session.rollback()
    assert names(session, settings) == ["mail.provider.example", "127.0.0.1"]
    assert [one.refusal for one in standings(session, settings)] == [
        None,
        Refusal.UNDECLARED,
        None,
    ]
    page = client.get("/relays").text
    assert page.count("mail.provider.example:587") == 2
    assert "ООО «Почта»" in page
    assert "Россия" in page


def test_no_page_shows_the_sign_in_of_a_relay(signed_in: As) -> None:
    client = signed_in("admin")
    assert "user:pass" not in client.get("/relays").text + client.get(PAGE).text


def test_every_declaration_is_kept_and_the_newest_counts(
    session: Session, signed_in: As, settings: Settings
) -> None:
    client = signed_in("admin")
    client.post(PAGE, data=GOOD)
    client.post(PAGE, data=GOOD | {"country": "NL"})
    client.post(PAGE, data=GOOD | {"country": "NL"})
    session.rollback()
    assert names(session, settings) == ["127.0.0.1"]
    declared = session.scalars(select(RelayDeclaration).order_by(RelayDeclaration.id)).all()
    assert [one.country for one in declared] == ["RU", "NL"]
    noted = session.scalars(select(AuditEvent).where(AuditEvent.act == "relay.declared")).all()
    assert {one.subject_id for one in noted} == {one.id for one in declared}
    assert all(one.detail == {} for one in noted)
    page = client.get(PAGE).text
    assert "Россия" in page
    assert "Нидерланды" in page


@pytest.mark.parametrize("change", ["UPDATE relay_declarations SET country = 'RU'", "DELETE"])
def test_the_database_refuses_to_change_a_declaration(
    session: Session, signed_in: As, change: str
) -> None:
    signed_in("admin").post(PAGE, data=GOOD | {"country": "NL"})
    with pytest.raises(DBAPIError, match="never changed"):
        session.execute(text(change if " " in change else f"{change} FROM relay_declarations"))
    session.rollback()


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("owner", ""),
        ("owner", "ООО «Север»"),
        ("owner", "<b>x</b>"),
        ("country", "XX"),
        ("country", ""),
        ("bond", "friend"),
        ("bond", ""),
        ("bond", "own"),
        ("contract", ""),
        ("contract_on", ""),
        ("contract_on", "вчера"),
        ("contract_on", "2027-03-02"),
        ("note", "п" * 501),
    ],
)
def test_what_cannot_be_declared_is_given_back_with_an_error(
    session: Session, signed_in: As, field: str, typed: str
) -> None:
    answer = signed_in("dpo").post(PAGE, data=GOOD | {field: typed})
    assert answer.status_code == 422
    assert "cl-error" in answer.text
    assert session.scalar(select(RelayDeclaration.id)) is None


def test_the_clinics_own_server_needs_no_contract(
    session: Session, signed_in: As, settings: Settings
) -> None:
    own = {"owner": "ООО «Север»", "bond": "own", "contract": "left over", "contract_on": ""}
    assert signed_in("admin").post(PAGE, data=GOOD | own).status_code == 303
    session.rollback()
    assert names(session, settings)[0] == "mail.provider.example"
    assert session.scalars(select(RelayDeclaration.contract)).one() == ""


def test_a_relay_that_no_url_names_has_no_page(signed_in: As) -> None:
    assert signed_in("admin").get("/relays/other.example:25").status_code == 404


def test_this_machines_own_server_says_that_its_next_hop_must_be_written_down(
    signed_in: As,
) -> None:
    page = signed_in("admin").get("/relays/127.0.0.1:25").text
    assert "cl-note" in page


def test_a_url_that_cannot_be_read_is_said_on_the_page(
    app: Flask, settings: Settings, signed_in: As
) -> None:
    app.extensions["crm.settings"] = replace(settings, smtp_url="smtp://relay.example:port")
    page = signed_in("admin").get("/relays")
    assert page.status_code == 200
    assert "crm doctor" in page.text
    assert signed_in("admin").get(PAGE).status_code == 404
