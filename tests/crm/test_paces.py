"""The page of the providers' paces: what it shows, what may be chosen, and what is written down."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.delivery.pacing_models import ProviderManners
from crm.delivery.rest import rest, rests
from tests.conftest import Time
from tests.factories import NOON

As = Callable[..., FlaskClient]
TYPED = {
    "gmail-target_per_hour": "7 200",
    "gmail-connections": "5",
    "gmail-warm_up": "y",
    "mailru-target_per_hour": "0",
    "mailru-connections": "3",
}


@pytest.fixture(autouse=True)
def known(session: Session, time: Time) -> None:
    for name, warm_up in (("mailru", False), ("gmail", True)):
        session.add(
            ProviderManners(
                name=name,
                per_hour=400,
                target_per_hour=7200,
                connections=5,
                warm_up=warm_up,
                warmed_on=NOON.date(),
            )
        )
    session.commit()


@pytest.mark.parametrize("role", ["admin", "marketer"])
def test_the_page_tells_what_each_provider_gets(signed_in: As, role: str) -> None:
    page = signed_in(role).get("/paces?lang=en").text
    assert page.index("Gmail") < page.index("Mail.ru")
    assert "400" in page
    assert "7" in page


def test_a_pace_is_saved_and_its_change_written_down(session: Session, signed_in: As) -> None:
    client = signed_in("marketer")
    assert client.post("/paces", data=TYPED).status_code == 303
    session.expire_all()
    gmail, mailru = (session.get_one(ProviderManners, name) for name in ("gmail", "mailru"))
    assert (gmail.target_per_hour, gmail.per_hour, gmail.warm_up) == (7200, 400, True)
    assert (mailru.target_per_hour, mailru.connections, mailru.warm_up) == (0, 3, False)
    client.post("/paces", data=TYPED)
    noted = session.scalars(select(AuditEvent).where(AuditEvent.act == "pace.changed")).all()
    assert [one.detail for one in noted] == [{"provider": "mailru"}]


def test_a_warm_up_that_is_switched_on_begins_at_its_beginning(
    session: Session, signed_in: As
) -> None:
    typed = {**TYPED, "mailru-target_per_hour": "3600", "mailru-warm_up": "y"}
    assert signed_in("admin").post("/paces", data=typed).status_code == 303
    session.expire_all()
    assert session.get_one(ProviderManners, "mailru").per_hour == 200


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("gmail-target_per_hour", "-1"),
        ("gmail-target_per_hour", "1000001"),
        ("gmail-target_per_hour", ""),
        ("mailru-connections", "-1"),
        ("mailru-connections", "1"),
        ("mailru-connections", "101"),
        ("mailru-connections", "\x00"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_saved(
    session: Session, signed_in: As, field: str, typed: str
) -> None:
    answer = signed_in("admin").post("/paces", data={**TYPED, field: typed})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    session.expire_all()
    assert session.get_one(ProviderManners, "mailru").connections == 5


def test_a_warm_up_needs_an_end(signed_in: As) -> None:
    answer = signed_in("admin").post("/paces", data={**TYPED, "gmail-target_per_hour": "0"})
    assert answer.status_code == 422
    assert 'href="#gmail-warm_up"' in answer.text


def test_a_person_ends_a_rest_and_no_log_names_the_domain(session: Session, signed_in: As) -> None:
    for destination in ("provider:gmail", "domain:firm.example"):
        rest(session, destination, because="421 4.7.28 slow down", at=NOON)
    session.commit()
    client = signed_in("marketer")
    page = client.get("/paces").text
    assert "firm.example" in page
    assert "slow down" in page
    for destination in ("provider:gmail", "domain:firm.example", "domain:firm.example", ""):
        answer = client.post("/paces/lift", data={"destination": destination})
        assert answer.status_code == 303
    session.expire_all()
    assert rests(session) == {}
    noted = session.scalars(select(AuditEvent).where(AuditEvent.act == "rest.lifted")).all()
    assert [one.detail for one in noted] == [{"provider": "gmail"}, {"provider": "domain"}]


def test_a_rest_that_is_over_is_not_shown(session: Session, signed_in: As, time: Time) -> None:
    rest(session, "domain:firm.example", because="421", at=NOON)
    session.commit()
    time.moves_to(NOON + timedelta(minutes=15))
    assert "firm.example" not in signed_in("admin").get("/paces").text
