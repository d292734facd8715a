"""The operator's page: one look tells whether all is well, and if not, what to do."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.consent.rules import Act
from crm.delivery import mishaps, refusals
from crm.delivery.models import Delivery, Lease, Outcome, Retry
from crm.delivery.rest import rest
from crm.delivery.states import DeliveryState, Lane, LeaseState, MailingState, Mishap
from crm.mail.refusal import Refusal
from crm.mail.smtp import Relay
from crm.operations import alive
from crm.operations.alarm import REMEMBERED_S, Alarm
from crm.operations.queues import CROWDED
from crm.operations.stop_gap import PATIENCE
from crm.relays import absence
from crm.safekeeping import installation
from tests.conftest import NOON, Time
from tests.factories import a_clinic, a_running_mailing, a_willing_contact, an_event, email_of

As = Callable[..., FlaskClient]
FINE = "Everything runs"
WISHES = "/me/appearance"
STRIP = "cl-strip"


@pytest.fixture
def broker(settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(settings.redis_url) as broker:
        yield broker
        broker.delete("house")


@pytest.fixture(autouse=True)
def at_work(session: Session, settings: Settings, time: Time) -> None:
    """A clinic whose programs are all alive."""
    a_clinic(session)
    installation.agree(session, settings, at=NOON)
    live(session)


def live(session: Session, *, but: str = "") -> None:
    for pid, kind in enumerate(alive.KINDS):
        at = NOON - timedelta(minutes=5) if kind == but else NOON
        alive.beat(session, kind, host="one", pid=pid, started_at=NOON, at=at)
    session.commit()


def shown(signed_in: As, role: str = "admin") -> str:
    client = signed_in(role)
    client.post(WISHES, data={"lang": "en"})
    answer = client.get("/operations")
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize("role", ["admin", "dpo"])
def test_where_all_is_well_it_says_so(signed_in: As, role: str) -> None:
    page = shown(signed_in, role)
    assert FINE in page
    assert STRIP not in page
    assert 'hx-trigger="every 5s"' in page


@pytest.mark.parametrize("role", ["marketer", "receptionist"])
def test_it_is_the_operators_alone(signed_in: As, role: str) -> None:
    client = signed_in(role)
    assert client.get("/operations").status_code == 403
    assert client.get("/operations/now").status_code == 403
    assert "/operations" not in client.get("/").text


def test_polling_brings_the_figures_without_the_page(signed_in: As) -> None:
    figures = signed_in("admin").get("/operations/now", headers={"HX-Request": "true"})
    assert figures.status_code == 200
    assert "<html" not in figures.text
    assert "op-programs" in figures.text


@pytest.mark.parametrize(
    ("kind", "to_do"),
    [
        ("bulk", "Start vezhlivo-worker@bulk"),
        ("service", "Start vezhlivo-worker@service"),
        ("house", "Start vezhlivo-worker@house"),
        ("beat", "Start vezhlivo-beat"),
    ],
)
def test_a_program_that_fell_silent_is_named(
    session: Session, signed_in: As, kind: str, to_do: str
) -> None:
    live(session, but=kind)
    page = shown(signed_in)
    assert FINE not in page
    assert page.count("vezhlivo-") == 1
    assert to_do in page


def test_a_clock_put_back_buries_nobody(session: Session, signed_in: As, time: Time) -> None:
    time.moves_to(NOON - timedelta(hours=1))
    assert FINE in shown(signed_in)


def test_a_house_that_does_not_keep_up_is_told(broker: Redis, signed_in: As) -> None:
    broker.rpush("house", *["{}"] * CROWDED)
    assert f"does not keep up: {CROWDED} messages" in shown(signed_in)


def test_a_broker_that_is_away_is_told_and_the_page_still_comes(
    app: Flask, settings: Settings, signed_in: As
) -> None:
    app.extensions["crm.settings"] = dataclasses.replace(
        settings, redis_url="redis://127.0.0.1:9/0"
    )
    assert "Valkey does not answer" in shown(signed_in)


def test_a_broker_without_memory_is_told(broker: Redis, signed_in: As) -> None:
    broker.config_set("maxmemory", 1)
    try:
        assert "Valkey has no memory left" in shown(signed_in)
    finally:
        broker.config_set("maxmemory", 0)


@pytest.mark.parametrize(
    ("kind", "figures", "sentence"),
    [
        (
            Mishap.SENDER_DIED,
            {"uncertain": 3, "queued_again": 12},
            "the last was given up at 15:00. All their letters are accounted for. "
            "Uncertain: 6, queued again: 24.",
        ),
        (Mishap.DATABASE_AWAY, {"lasted_s": 7.4}, "Interruptions: 2, the longest 7 s."),
        (Mishap.CLOCK_JUMPED, {"lasted_s": 3600.0}, "by 60 min at most"),
    ],
)
def test_what_was_overcome_is_told_for_a_day_while_all_is_well(
    session: Session,
    signed_in: As,
    time: Time,
    kind: Mishap,
    figures: dict[str, Any],
    sentence: str,
) -> None:
    for hour in (3, 0):
        mishaps.count(session, kind, at=NOON - timedelta(hours=hour), **figures)
    session.commit()
    page = unescape(shown(signed_in))
    assert sentence in page
    assert FINE in page
    time.moves_to(NOON + mishaps.TOLD_FOR)
    assert sentence not in unescape(shown(signed_in))


def test_letters_in_doubt_are_told_of_with_where_to_decide(session: Session, signed_in: As) -> None:
    mailing = a_running_mailing(session)
    session.add(
        Lease(
            lane=Lane.BULK,
            mailing_id=mailing.id,
            provider="other",
            state=LeaseState.DEAD,
            taken_at=NOON,
            uncertain=4,
        )
    )
    session.commit()
    page = shown(signed_in)
    assert "nobody knows whether they arrived, today: 4." in page
    assert FINE in page


def test_what_halts_letters_is_told_with_its_page(session: Session, signed_in: As) -> None:
    a_willing_contact(session)
    a_running_mailing(session).state = MailingState.HELD
    rest(session, "relay", because="421 later", at=NOON)
    rest(session, "domain:firm.example", because="450 later", at=NOON)
    session.commit()
    page = shown(signed_in)
    assert "takes no letters for now: 421 later. Campaigns go on at 15:15" in page
    assert "Campaigns held by the system: 1" in page
    assert 'href="/paces"' in page
    assert "firm.example" in page


def test_a_service_letter_that_waits_is_told(session: Session, signed_in: As, time: Time) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    mailing.lane, mailing.due_at = Lane.SERVICE, NOON - timedelta(minutes=9)
    session.commit()
    assert "has been waiting for 9 min" in shown(signed_in)


def test_a_service_letter_that_did_not_leave_is_told_with_its_reason(
    session: Session, signed_in: As, time: Time
) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    mailing.lane = Lane.SERVICE
    letter = session.scalars(select(Delivery.id)).one()
    waits = Retry(
        delivery_id=letter,
        mailing_id=mailing.id,
        lane=Lane.SERVICE,
        provider="other",
        due_at=NOON + timedelta(minutes=1),
        tries=1,
        reply="We do not know you",
    )
    session.add(waits)
    session.commit()
    assert "did not leave at the second try" not in shown(signed_in)
    waits.tries = 2
    session.commit()
    page = shown(signed_in)
    assert "did not leave at the second try: 1." in page
    assert "one of the reasons: We do not know you." in page


def test_service_letters_that_failed_are_told_for_a_day(
    session: Session, signed_in: As, time: Time
) -> None:
    mailing = a_running_mailing(session)
    for bounced in (0, 1):
        session.add(
            Lease(
                lane=Lane.SERVICE,
                mailing_id=mailing.id,
                provider="other",
                state=LeaseState.ENDED,
                taken_at=NOON,
                failed=1,
                bounced=bounced,
            )
        )
    session.commit()
    assert "not counting addresses that do not exist: 1." in shown(signed_in)
    time.moves_to(NOON + timedelta(days=1))
    assert "failed today" not in shown(signed_in)


def test_a_letter_that_left_after_a_stop_is_the_first_thing_said(
    session: Session, signed_in: As
) -> None:
    contact = a_willing_contact(session, at=NOON - timedelta(days=9))
    mailing = a_running_mailing(session)
    an_event(session, Act.OPTED_OUT, email_of(session, contact), at=NOON - timedelta(days=2))
    delivery_id = session.scalars(select(Delivery.id)).one()
    session.add(
        Outcome(
            delivery_id=delivery_id,
            mailing_id=mailing.id,
            state=DeliveryState.ACCEPTED,
            at=NOON - timedelta(days=2) + PATIENCE + timedelta(seconds=7),
        )
    )
    live(session, but="bulk")
    page = shown(signed_in)
    assert page.index("after its addressee had refused, 7 s later") < page.index("vezhlivo-worker")


def test_what_is_left_alone_is_shown_with_the_reply_that_began_it(
    session: Session, signed_in: As
) -> None:
    for destination in ("provider:gmail", "domain:firm.example"):
        rest(session, destination, because=f"{destination} is down", at=NOON)
    session.commit()
    page = shown(signed_in)
    assert "Gmail" in page
    assert page.count("left alone until 15:15") == 2
    assert "provider:gmail is down" in page
    assert "domain:firm.example is down" in page


def test_leases_are_shown_with_their_signs_of_life(session: Session, signed_in: As) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    for state in (LeaseState.LIVE, LeaseState.DEAD):
        session.add(
            Lease(
                lane=Lane.BULK,
                mailing_id=mailing.id,
                provider="gmail",
                state=state,
                beats=4711,
                taken_at=NOON,
            )
        )
    session.commit()
    page = shown(signed_in)
    assert page.count("4 711".replace(" ", "\N{NO-BREAK SPACE}")) == 1
    assert "Gmail" in page


def test_every_page_says_that_the_installation_is_held(
    session: Session, settings: Settings, signed_in: As
) -> None:
    path = settings.state_dir / installation.IDENTITY
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another"}))
    for role, has_link in (("admin", True), ("dpo", True), ("receptionist", False)):
        page = signed_in(role).get("/").text
        assert STRIP in page
        strip = page[page.index(STRIP) : page.index("<main")]
        assert ('href="/installation"' in strip) is has_link


def test_pages_that_say_it_themselves_have_no_strip(settings: Settings, signed_in: As) -> None:
    (settings.state_dir / installation.IDENTITY).unlink()
    client = signed_in("admin")
    assert STRIP in client.get("/relays").text
    for path in ("/operations", "/installation"):
        page = client.get(path).text
        assert STRIP not in page
        assert "cl-note-bad" in page


def test_strangers_see_no_strip(settings: Settings, client: FlaskClient) -> None:
    (settings.state_dir / installation.IDENTITY).unlink()
    assert STRIP not in client.get("/login").text


def test_a_relay_that_nobody_declared_is_on_every_page(
    app: Flask, settings: Settings, signed_in: As
) -> None:
    app.extensions["crm.settings"] = dataclasses.replace(settings, smtp_url="smtps://relay.example")
    page = signed_in("admin").get("/").text
    assert STRIP in page
    assert 'href="/relays"' in page[page.index(STRIP) : page.index("<main")]


def away(session: Session, *ports: int) -> None:
    for port in ports:
        absence.begin(
            session,
            Relay("127.0.0.1", port),
            because="The relay's certificate was refused: certificate has expired",
            at=NOON,
        )
    session.commit()


def test_a_relay_out_of_reach_is_on_every_page(session: Session, signed_in: As) -> None:
    away(session, 9)
    page = shown(signed_in)
    assert "The mail relay 127.0.0.1:9 has been out of reach since 15:00" in page
    assert "certificate was refused: certificate has expired. We try again" in unescape(page)
    assert "cl-note-bad" in page
    client = signed_in("receptionist")
    assert "127.0.0.1:9" in client.get("/").text.split("<main")[0]
    assert "127.0.0.1:9" in signed_in("admin").get("/relays").text


def test_one_relay_out_of_reach_of_two_is_told_to_the_operator_alone(
    app: Flask, session: Session, settings: Settings, signed_in: As
) -> None:
    app.extensions["crm.settings"] = dataclasses.replace(
        settings, smtp_url="smtp://127.0.0.1:9 smtp://127.0.0.1:10"
    )
    away(session, 9)
    page = shown(signed_in)
    assert "127.0.0.1:9 has been out of reach" in page
    assert "cl-note-bad" not in page
    assert STRIP not in signed_in("receptionist").get("/").text
    away(session, 10)
    assert "127.0.0.1:10 has been out of reach" in shown(signed_in)


def test_a_long_absence_is_told_with_its_day(session: Session, signed_in: As, time: Time) -> None:
    away(session, 9)
    for minutes in range(10, 24 * 60, 10):
        time.moves_to(NOON + timedelta(minutes=minutes))
        absence.begin(session, Relay("127.0.0.1", 9), because="Silence.", at=time.at)
    live(session)
    page = " ".join(shown(signed_in).split())
    assert "since 1 Mar 2027, 15:00, last tried at 14:50: Silence. We try" in page


def test_refusals_because_of_us_are_told_for_a_day(
    session: Session, signed_in: As, time: Time
) -> None:
    a_willing_contact(session)
    mailing = a_running_mailing(session)
    refusals.count(
        session,
        mailing.id,
        "gmail",
        {Refusal.POLICY: 3, Refusal.NO_SUCH_ADDRESS: 4},
        replies={},
        at=NOON,
    )
    session.commit()
    assert "Refusals because of us since yesterday: 3." in shown(signed_in)
    time.moves_to(NOON + timedelta(days=2))
    assert "Refusals because of us" not in shown(signed_in)


def test_the_strip_looks_once_in_a_few_seconds(session: Session, settings: Settings) -> None:
    now_s = 0.0
    alarm = Alarm(now_s=lambda: now_s)
    assert alarm.finding(session, settings, at=NOON) is None
    (settings.state_dir / installation.IDENTITY).unlink()
    assert alarm.finding(session, settings, at=NOON) is None
    now_s += REMEMBERED_S
    assert alarm.finding(session, settings, at=NOON) is not None
