"""Accounts: who may be added, what they may do, and that somebody can always add staff."""

import re
import uuid
from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.config import Settings
from crm.errors import CrmError, Invalid
from crm.staff import service
from crm.staff.models import RoleName, Staff
from tests.factories import NOON, a_member_of_staff

As = Callable[..., FlaskClient]
NEW = {"name": "Олег Петров", "email": "oleg@clinic.example", "roles": ["marketer", "dpo"]}


def by_email(session: Session, email: str) -> Staff | None:
    session.expire_all()
    return session.scalar(select(Staff).where(Staff.email == email))


def test_a_person_is_added_and_the_password_told_once_signs_in(
    app: Flask, session: Session, signed_in: As
) -> None:
    admin = signed_in("admin")
    email = f"{uuid.uuid4().hex}@clinic.example"
    page = admin.post("/staff/new", data={**NEW, "email": email.upper()})
    assert page.status_code == 201
    told = re.search(r'id="password">([a-z0-9-]{23})<', page.text)
    assert told
    staff = by_email(session, email)
    assert staff is not None
    assert {role.name for role in staff.roles} == {RoleName.MARKETER, RoleName.DPO}
    entered = app.test_client().post("/login", data={"email": email, "password": told[1]})
    assert entered.status_code == 303
    assert told[1] not in admin.get(f"/staff/{staff.id}").text
    noted = session.scalars(select(AuditEvent).where(AuditEvent.act == "staff.added")).one()
    assert (noted.subject_id, noted.detail) == (staff.id, {"roles": "dpo marketer"})


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("name", "п" * 121),
        ("name", "Олег\r\nBcc: a@b.example"),
        ("name", "=?utf-8?q?Oleg?="),
        ("name", "<b>Олег</b>"),
        ("name", "Олег\x00"),
        ("email", ""),
        ("email", "oleg"),
        ("email", "o@localhost"),
        ("email", "a@b.example, c@d.example"),
        ("email", "Олег <o@clinic.example>"),
        ("email", "o@clinic.example\r\nBcc: x@y.example"),
        ("email", "x" * 300 + "@clinic.example"),
        ("roles", []),
        ("roles", ["owner"]),
        ("roles", ["admin", "\x00"]),
    ],
)
def test_what_cannot_be_an_account_is_refused_and_kept_on_the_page(
    session: Session, signed_in: As, field: str, typed: str | list[str]
) -> None:
    answer = signed_in("admin").post("/staff/new", data={**NEW, field: typed})
    assert answer.status_code == 422
    assert "cl-summary" in answer.text
    assert by_email(session, "oleg@clinic.example") is None
    kept = "name" if field != "name" else "email"
    assert f'value="{NEW[kept]}"' in answer.text


def test_an_address_signs_one_person_in(signed_in: As) -> None:
    admin = signed_in("admin")
    assert admin.post("/staff/new", data=NEW).status_code == 201
    again = admin.post("/staff/new", data={**NEW, "email": "OLEG@clinic.example"})
    assert again.status_code == 422


def test_the_operator_adds_without_a_page(session: Session) -> None:
    staff = service.add(
        session,
        email="Root@Clinic.example",
        name="Оператор",
        roles=[RoleName.ADMIN],
        password="four words in a row",
        at=NOON,
        by=None,
    )
    assert staff.email == "root@clinic.example"
    for email, password in [
        ("root@clinic.example", "x" * 12),
        ("nobody", "x" * 12),
        ("a@b.example", "x"),
    ]:
        with pytest.raises(Invalid):
            service.add(
                session,
                email=email,
                name="Другой",
                roles=[RoleName.ADMIN],
                password=password,
                at=NOON,
                by=None,
            )


def test_roles_and_name_change_and_the_log_tells_which(session: Session, signed_in: As) -> None:
    clerk = a_member_of_staff(session, "receptionist")
    admin = signed_in("admin")
    answer = admin.post(f"/staff/{clerk.id}", data={"name": "Новая", "roles": ["dpo"]})
    assert answer.status_code == 303
    session.expire_all()
    assert (clerk.name, [role.name for role in clerk.roles]) == ("Новая", [RoleName.DPO])
    noted = {one.act: one.detail for one in session.scalars(select(AuditEvent))}
    assert noted["staff.roles_changed"] == {"roles": "dpo", "had": "receptionist"}
    assert noted["staff.renamed"] == {}


def test_the_last_administrator_stays(session: Session, signed_in: As) -> None:
    admin = signed_in("admin")
    me = session.scalars(select(Staff)).one()
    assert admin.post(f"/staff/{me.id}/deactivate").status_code == 409
    answer = admin.post(f"/staff/{me.id}", data={"name": me.name, "roles": ["dpo"]})
    assert answer.status_code == 422
    session.expire_all()
    assert me.active
    assert [role.name for role in me.roles] == [RoleName.ADMIN]


def test_a_shut_administrator_does_not_count(session: Session, signed_in: As) -> None:
    admin = signed_in("admin")
    me = session.scalars(select(Staff)).one()
    other = a_member_of_staff(session, "admin")
    other.active = False
    session.commit()
    assert admin.post(f"/staff/{me.id}/deactivate").status_code == 409


def test_two_administrators_cannot_shut_each_other_at_once(
    session: Session, settings: Settings
) -> None:
    pair = [a_member_of_staff(session, "admin").id, a_member_of_staff(session, "admin").id]
    session.commit()
    engine = create_engine(settings.database_url)
    both = Barrier(2)
    outcomes: list[str] = []

    def shut(other: int, by: int) -> None:
        with Session(engine) as own:
            staff = service.find(own, other)
            both.wait()
            try:
                service.deactivate(own, staff, at=NOON, by=by)
                own.commit()
                outcomes.append("shut")
            except CrmError as refusal:
                outcomes.append(type(refusal).__name__)

    threads = [Thread(target=shut, args=way) for way in (pair, pair[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    assert sorted(outcomes) == ["LastAdmin", "shut"]


def test_a_new_password_ends_the_sessions_and_is_told_once(
    app: Flask, session: Session, signed_in: As
) -> None:
    clerk = a_member_of_staff(session, "receptionist")
    session.commit()
    theirs = app.test_client(user=clerk)
    assert theirs.get("/me").status_code == 200
    page = signed_in("admin").post(f"/staff/{clerk.id}/password")
    assert page.status_code == 200
    assert re.search(r'id="password">[a-z0-9-]{23}<', page.text)
    assert theirs.get("/me").status_code == 302


def test_an_administrator_signs_somebody_out_everywhere(
    app: Flask, session: Session, signed_in: As
) -> None:
    clerk = a_member_of_staff(session, "receptionist")
    session.commit()
    theirs = app.test_client(user=clerk)
    assert signed_in("admin").post(f"/staff/{clerk.id}/sign-out").status_code == 303
    assert theirs.get("/me").status_code == 302


@pytest.mark.parametrize("staff_id", ["0", "999999", "2147483648", "x", "-1"])
def test_nobody_is_not_found(signed_in: As, staff_id: str) -> None:
    admin = signed_in("admin")
    assert admin.get(f"/staff/{staff_id}").status_code == 404
    assert admin.post(f"/staff/{staff_id}/deactivate").status_code == 404
