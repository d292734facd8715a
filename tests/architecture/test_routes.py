"""Who may reach what, generated from the map of routes: a new route is tested by being there."""

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import CheckConstraint, Engine, Enum, create_engine, inspect
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from crm.appointments.models import Appointment, AppointmentState, Request, RequestKind
from crm.campaigns import drafts
from crm.contacts.models import Address, Kind
from crm.db import Base
from crm.intake.models import Form
from crm.privacy.holders import HOLDERS
from crm.staff.models import Staff
from crm.web import access
from crm.web.identity import ROLES
from crm.web.public_list import STRANGERS
from tests.conftest import Time, url_of
from tests.factories import (
    NOON,
    a_clinic,
    a_member_of_staff,
    a_running_mailing,
    a_willing_contact,
    consent_texts,
    email_of,
)

CANARIES = ("канарейкин", "canary", "5550199", "птичка-весточка")
"""Parts of everything personal in the world below, in lower case."""
REFUSES_BY_DESIGN = frozenset({"desk.lift"})
"""Answers 403 to everybody: only the person lifts a stop."""
STRANGE_BODIES = (
    (b"", "application/x-www-form-urlencoded"),
    (b"name=%ff%fe&email=%00&roles=%00&title_ru=%00&step=%00", "application/x-www-form-urlencoded"),
    (b"--x\r\nContent-Disposition: form-data\r\n\r\n", "multipart/form-data; boundary=x"),
    (b"[1]", "application/json"),
    (b"5", "application/json"),
    (b"{", "application/json"),
    (b"\xff\xfe\x00", "text/plain; charset=utf-16"),
)


@pytest.fixture
def world(app: Flask, session: Session, time: Time) -> dict[str, Any]:
    """One of everything, with canaries for names; the values of every argument of a route."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    a_clinic(session)
    texts = consent_texts(session)
    contact = a_willing_contact(session, email="canary@mail.example", first_name="Канарейкина")
    session.add(
        Address(kind=Kind.PHONE, value="+74955550199", display="+7 495 555-01-99", created_at=NOON)
    )
    mailing = a_running_mailing(session)
    clerk = a_member_of_staff(session, "receptionist", name="Канарейкин Пётр")
    campaign = drafts.start(session, "Canary", "Canary", staff_id=clerk.id, at=NOON)
    session.add(
        form := Form(
            key="question",
            kind=RequestKind.QUESTION,
            title_ru="Вопрос",
            title_en="Question",
            text_keys=list(texts),
            origins=["https://clinic.example"],
            created_at=NOON,
        )
    )
    session.add(
        request := Request(
            kind=RequestKind.APPOINTMENT,
            contact_id=contact.id,
            email_id=email_of(session, contact).id,
            message="Птичка-весточка",
            source="form:question",
            received_at=NOON,
        )
    )
    session.flush()
    session.add(
        visit := Appointment(
            request_id=request.id,
            contact_id=contact.id,
            email_id=email_of(session, contact).id,
            state=AppointmentState.PROPOSED,
            starts_at=NOON,
            place="Птичка-весточка, 1",
            created_at=NOON,
        )
    )
    session.commit()
    return {
        "contact_id": contact.id,
        "campaign_id": campaign.id,
        "mailing_id": mailing.id,
        "form_id": form.id,
        "form_key": form.key,
        "request_id": request.id,
        "appointment_id": visit.id,
        "staff_id": clerk.id,
        "text_id": texts["processing"].id,
        "token": "no-token-of-ours",
        "key": "processing",
        "lang": "ru",
        "filename": "favicon.svg",
        "relay": "127.0.0.1:9",
    }


@pytest.fixture
def staff(session: Session, world: dict[str, Any]) -> dict[str, Staff]:
    """A member of staff for each role, alone in it."""
    made: dict[str, Staff] = {role: a_member_of_staff(session, role) for role in ROLES}
    session.commit()
    return made


def rules(app: Flask) -> list[Rule]:
    return sorted(app.url_map.iter_rules(), key=lambda rule: (rule.endpoint, rule.rule))


def address(app: Flask, rule: Rule, world: dict[str, Any]) -> str:
    with app.test_request_context():
        built = rule.build({name: world[name] for name in rule.arguments})
    assert built is not None, f"{rule.rule}: tell this test a value for its arguments"
    return built[1]


def clients(app: Flask, staff: dict[str, Staff]) -> Iterator[tuple[str, FlaskClient]]:
    """Each role and the stranger, in a new session: what they did before may have ended theirs."""
    yield "stranger", app.test_client()
    for role, person in staff.items():
        yield role, app.test_client(user=person)


def unexpected(app: Flask, rule: Rule, role: str, method: str, answer: TestResponse) -> str | None:
    """Return what is wrong with an answer, by what the route declares."""
    declared = rule.methods or set()
    told = f"{method} {rule.rule} as {role}: {answer.status_code}"
    if answer.status_code >= 500 and answer.status_code != 503:
        return told
    if method not in declared:
        others = (other for other in app.url_map.iter_rules() if other.rule == rule.rule)
        if any(method in (other.methods or set()) for other in others):
            return None
        return None if answer.status_code in (302, 401, 403, 405, 404) else told
    if access.public(rule.endpoint):
        return None if answer.status_code != 401 else told
    if role == "stranger":
        to_sign_in = answer.status_code == 302 and answer.location.startswith("/login")
        return None if answer.status_code == 401 or (method == "GET" and to_sign_in) else told
    if role not in access.roles_of(rule.endpoint):
        return None if answer.status_code == 403 else told
    is_refused = answer.status_code in (401, 403) and rule.endpoint not in REFUSES_BY_DESIGN
    return told if is_refused else None


def test_every_route_is_public_by_name_or_names_its_roles(app: Flask) -> None:
    closed = [
        rule.endpoint
        for rule in rules(app)
        if not access.public(rule.endpoint) and not access.roles_of(rule.endpoint)
    ]
    assert closed == []


def test_every_role_gets_what_the_route_declares_and_nothing_else(
    app: Flask, world: dict[str, Any], staff: dict[str, Staff]
) -> None:
    found = [
        unexpected(app, rule, role, method, client.open(address(app, rule, world), method=method))
        for rule in rules(app)
        for method in ("GET", "POST")
        for role, client in clients(app, staff)
    ]
    assert "\n".join(told for told in found if told) == ""


@pytest.mark.parametrize(
    ("endpoint", "roles"),
    [
        ("staff.index", {"admin"}),
        ("staff.new", {"admin"}),
        ("staff.edit", {"admin"}),
        ("staff.deactivate", {"admin"}),
        ("staff.reset_password", {"admin"}),
        ("clinic.settings", {"admin", "dpo"}),
        ("relays.index", {"admin", "dpo"}),
        ("relays.declare", {"admin", "dpo"}),
        ("consent.texts", {"admin", "dpo"}),
        ("consent.publish_text", {"dpo"}),
        ("intake.forms", {"admin", "marketer"}),
        ("intake.edit_form", {"admin"}),
        ("intake.make_token", {"admin"}),
        ("campaigns.approve", {"marketer"}),
        ("operations.show", {"admin", "dpo"}),
        ("operations.now", {"admin", "dpo"}),
        ("staff.me", set(ROLES)),
        ("security.logout", set(ROLES)),
    ],
)
def test_these_rights_do_not_widen_by_accident(app: Flask, endpoint: str, roles: set[str]) -> None:
    assert access.roles_of(endpoint) == roles


def test_marketing_sees_nothing_of_reception(app: Flask) -> None:
    reception = [rule.endpoint for rule in rules(app) if rule.endpoint.startswith("appointments.")]
    assert reception
    assert all("marketer" not in access.roles_of(endpoint) for endpoint in reception)


def test_whoever_tries_doors_without_a_key_reads_nothing_personal(
    app: Flask, world: dict[str, Any]
) -> None:
    told = []
    for rule in rules(app):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            for headers in ({}, {"Accept": "application/json"}, {"HX-Request": "true"}):
                answer = app.test_client().open(
                    address(app, rule, world), method=method, headers=headers
                )
                said = (answer.text if answer.is_streamed is False else "") + str(answer.headers)
                if any(canary in said.lower() for canary in CANARIES):
                    told.append(f"{method} {rule.rule}")
    assert told == []


def test_the_canaries_sing_where_they_may_be_heard(
    app: Flask, world: dict[str, Any], staff: dict[str, Staff]
) -> None:
    for role in ("receptionist", "dpo"):
        page = app.test_client(user=staff[role]).get(f"/contacts/{world['contact_id']}")
        assert page.status_code == 200
        assert "канарейкин" in page.text.lower()


@pytest.mark.parametrize(("body", "kind"), STRANGE_BODIES)
def test_no_body_breaks_a_route(
    app: Flask, world: dict[str, Any], staff: dict[str, Staff], body: bytes, kind: str
) -> None:
    broken = []
    for rule in rules(app):
        if "POST" not in (rule.methods or set()):
            continue
        allowed = sorted(access.roles_of(rule.endpoint))
        client = app.test_client(user=staff[allowed[0]]) if allowed else app.test_client()
        answer = client.post(address(app, rule, world), data=body, content_type=kind)
        if answer.status_code >= 500 and answer.status_code != 503:
            broken.append(f"{rule.rule}: {answer.status_code}")
    assert broken == []


class Reader(HTMLParser):
    """What an HTML page consists of, as far as the house has rules for it."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.inline: list[str] = []
        self.headings: list[str] = []
        self.title = ""
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids[str(given["id"])] += 1
        if tag == "style" or "style" in given:
            self.inline.append(f"<{tag}> with a style")
        if tag == "script" and "src" not in given and given.get("type") != "application/json":
            self.inline.append("a script inside the page")
        self.inline += [f"{name} on <{tag}>" for name in given if re.match(r"on|hx-on", name)]
        if tag in ("h1", "title"):
            self._inside.append(tag)
            if tag == "h1":
                self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside[-1:] == ["h1"]:
            self.headings[-1] += data
        elif self._inside[-1:] == ["title"]:
            self.title += data


def faults_of(page: str) -> list[str]:
    """Return where a page breaks the rules of the house; of a fragment, only what it holds."""
    reader = Reader()
    reader.feed(page)
    faults = [*reader.inline, *(f"id {name} twice" for name, n in reader.ids.items() if n > 1)]
    if "<html" not in page:
        return faults
    headings = [" ".join(heading.split()) for heading in reader.headings]
    if len(headings) != 1:
        faults.append(f"{len(headings)} h1")
    elif not headings[0] or not " ".join(reader.title.split()).startswith(headings[0]):
        faults.append(f"title {reader.title!r} does not begin with {headings[0]!r}")
    return faults


def pages(
    app: Flask, world: dict[str, Any], staff: dict[str, Staff]
) -> Iterator[tuple[str, TestResponse]]:
    for rule in rules(app):
        if "GET" not in (rule.methods or set()) or rule.endpoint == "static":
            continue
        for role, client in clients(app, staff):
            answer = client.get(address(app, rule, world))
            is_letter = "sandbox" in answer.headers.get("Content-Security-Policy", "")
            if answer.mimetype == "text/html" and answer.status_code != 302 and not is_letter:
                yield f"{rule.rule} as {role}", answer


def test_every_page_is_well_made(
    app: Flask, world: dict[str, Any], staff: dict[str, Staff]
) -> None:
    seen = {where: faults_of(answer.text) for where, answer in pages(app, world, staff)}
    assert len(seen) > 50
    assert {where: faults for where, faults in seen.items() if faults} == {}


def test_every_answer_bears_its_headers(
    app: Flask, world: dict[str, Any], staff: dict[str, Staff]
) -> None:
    lacking = [
        where
        for where, answer in pages(app, world, staff)
        if "default-src 'none'" not in answer.headers.get("Content-Security-Policy", "")
        or answer.headers.get("X-Content-Type-Options") != "nosniff"
        or "no-store" not in answer.headers.get("Cache-Control", "")
    ]
    assert lacking == []


def test_the_reader_of_pages_is_awake() -> None:
    bad = (
        "<html><title>Other</title><h1>One</h1><h1>Two</h1><p id=a style='x'></p><p id=a></p>"
        "<script>1</script><b onclick=x>"
    )
    assert len(faults_of(bad)) == 5


def test_strangers_get_no_cookie_on_public_pages(app: Flask, world: dict[str, Any]) -> None:
    given = [
        rule.rule
        for rule in rules(app)
        if rule.endpoint in STRANGERS
        and "Set-Cookie" in app.test_client().get(address(app, rule, world)).headers
    ]
    assert given == []


def test_every_template_compiles(app: Flask) -> None:
    names = [name for name in app.jinja_env.list_templates() if name.endswith(".html")]
    assert len(names) > 30
    for name in names:
        app.jinja_env.get_template(name)


def test_whatever_is_about_a_person_is_in_the_list_of_holders() -> None:
    about = {"contacts", "addresses"}
    pointing = {
        table.name
        for table in Base.metadata.sorted_tables
        if any(key.column.table.name in about for key in table.foreign_keys)
    }
    evidence = {"consent_payloads"}
    """Points at the ledger, which points at people."""
    assert {holder.__tablename__ for holder in HOLDERS} == about | pointing | evidence


@pytest.fixture
def migrated(server: Engine, template: str) -> Iterator[Engine]:
    engine = create_engine(url_of(template))
    yield engine
    engine.dispose()


def test_migrations_build_what_the_models_say(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_build_the_checks_of_the_models(migrated: Engine) -> None:
    built = inspect(migrated)
    for table in Base.metadata.sorted_tables:
        wanted = {
            str(one.name)
            for one in table.constraints
            if isinstance(one, CheckConstraint) and one.name
        }
        assert {str(one["name"]) for one in built.get_check_constraints(table.name)} == wanted


def test_every_word_of_an_enum_fits_its_column() -> None:
    enums = [
        column.type
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Enum)
    ]
    assert len(enums) > 10
    for one in enums:
        assert one.native_enum is False
        assert max(len(word) for word in one.enums) <= (one.length or 0)
