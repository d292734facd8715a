"""What an opt-out costs while a campaign goes out on the same machine: words on the wire."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from crm.app import create_app
from crm.config import Settings
from crm.consent.rules import Act
from tests.conftest import NOON, Time, closing_its_connections
from tests.crm.test_recipients import way_out
from tests.crm.wire import Wire, wire
from tests.factories import a_clinic, an_email, an_event

pytestmark = pytest.mark.usefixtures("time")
ROUND_TRIPS = 6
"""Lock and look; write; commit; the barrier; take what the journal lacks; let go of that."""


@pytest.fixture
def line(database: str) -> Iterator[tuple[Wire, str]]:
    with wire(database) as laid:
        yield laid


@pytest.fixture
def program(settings: Settings, session: Session, line: tuple[Wire, str]) -> Iterator[FlaskClient]:
    """What posts for a mailbox's owner, to a site that has done it before."""
    a_clinic(session)
    somebody = an_email(session)
    session.commit()
    site = create_app(replace(settings, database_url=line[1], testing=False))
    with closing_its_connections(site):
        trips(line, site.test_client(), somebody.id)
        yield site.test_client()


def trips(line: tuple[Wire, str], program: FlaskClient, address_id: int) -> int:
    """Let the program post; return how often the site and the database waited for each other."""
    line[0].cut_before(None)
    answer = program.post(way_out(address_id), data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.text) == (200, "Вы отписались.")
    return line[0].words


def test_it_takes_six_round_trips_whatever_was_said_before(
    session: Session, line: tuple[Wire, str], program: FlaskClient, time: Time
) -> None:
    silent, talkative = an_email(session), an_email(session)
    for hour in range(60):
        act = (Act.ASKED, Act.CONFIRMED, Act.OPTED_OUT, Act.CONFIRMED)[hour % 4]
        an_event(session, act, talkative, at=NOON + timedelta(hours=hour))
    session.commit()
    time.moves_to(NOON + timedelta(hours=99))
    assert trips(line, program, silent.id) == ROUND_TRIPS
    assert trips(line, program, talkative.id) == ROUND_TRIPS


def test_a_second_click_writes_nothing_and_takes_one_less(
    session: Session, line: tuple[Wire, str], program: FlaskClient
) -> None:
    address = an_email(session)
    session.commit()
    assert trips(line, program, address.id) == ROUND_TRIPS
    assert trips(line, program, address.id) == ROUND_TRIPS - 1
