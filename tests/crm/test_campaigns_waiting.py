"""What a mailing's page says that it waits for, and what stands in its way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_login import FlaskLoginClient
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from crm.app import create_app
from crm.campaigns import pulse
from crm.campaigns.models import Campaign
from crm.campaigns.views import waiting
from crm.clinic.service import details
from crm.config import Settings
from crm.delivery import refusals
from crm.delivery.close import finish
from crm.delivery.models import Delivery, Range, Retry
from crm.delivery.pacing_models import Pace, ProviderManners
from crm.delivery.rest import rest
from crm.delivery.states import DeliveryState, Lane, MailingState
from crm.delivery.vigil import COMPLAINED
from crm.mail.refusal import Refusal
from crm.mail.smtp import Relay
from crm.relays import absence
from crm.safekeeping import installation
from crm.staff.models import Staff
from tests.conftest import NOON, Time, closing_its_connections
from tests.crm.campaigns import approved, deliveries, ended, launch, mailing_of, taken
from tests.factories import a_clinic, a_willing_contact

SignIn = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def _at_noon(time: Time) -> None:
    pass


@pytest.fixture
def marketer(signed_in: SignIn, session: Session) -> FlaskClient:
    client = signed_in("marketer")
    for staff in session.scalars(select(Staff)):
        staff.lang = "en"
    session.commit()
    return client


@pytest.fixture
def running(session: Session, marketer: FlaskClient) -> Campaign:
    """Two letters to Mail.ru, in the queue."""
    a_clinic(session)
    session.execute(delete(ProviderManners))
    for _ in range(2):
        a_willing_contact(session)
    campaign = approved(marketer, session, count=2)
    launch(session)
    for table in (Range, Delivery):
        session.execute(update(table).values(provider="mailru"))
    session.commit()
    return campaign


def a_dry_bucket(session: Session, name: str, per_minute: float, *, at: datetime = NOON) -> None:
    session.add(Pace(name=name, tokens=0, filled_at=at, per_minute=per_minute))
    session.commit()


def told(client: FlaskClient, campaign: Campaign) -> str:
    """What the polled part says above its numbers."""
    page = client.get(f"/campaigns/{campaign.id}/progress").text
    return " ".join(unescape(page).split())


def test_a_mailing_that_goes_as_fast_as_it_can_waits_for_nothing(
    marketer: FlaskClient, running: Campaign
) -> None:
    assert "cl-waits" not in told(marketer, running)
    assert "cl-note" not in told(marketer, running)


def test_the_limit_of_a_provider_is_named_with_its_pace(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    a_dry_bucket(session, "provider:mailru", 40)
    assert "Waits: provider limit Mail.ru, 40/min." in told(marketer, running)


def test_the_limits_of_the_relay_and_of_the_mailing_are_told(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    a_dry_bucket(session, f"mailing:{running.mailing_id}", 2.5)
    assert "limit of this mailing, 2.5/min." in told(marketer, running)
    a_dry_bucket(session, "relay", 1200)
    assert "limit of the mail relay, 1,200/min." in told(marketer, running)


def test_a_warm_up_is_told_by_the_hour(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    session.add(
        ProviderManners(
            name="mailru", per_hour=200, target_per_hour=3600, connections=2, warm_up=True
        )
    )
    a_dry_bucket(session, "provider:mailru", 200 / 60)
    assert "warm-up of Mail.ru, 200 an hour today." in told(marketer, running)


def test_quiet_hours_are_told_with_their_end(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    clinic = details(session)
    clinic.quiet_from, clinic.quiet_until = time(14), time(18)
    session.commit()
    assert "Waits: quiet hours until 18:00." in told(marketer, running)


def test_a_provider_at_rest_is_told_and_stands_in_its_row(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    rest(session, "provider:mailru", because="421 later", at=NOON)
    session.commit()
    page = told(marketer, running)
    assert "Waits: Mail.ru rests until 15:15 (421 later)." in page
    assert "rests until 15:15</span>" in page


def test_a_relay_at_rest_is_told(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    rest(session, "relay", because="The relay closed the connection.", at=NOON)
    session.commit()
    assert (
        "Waits: the mail relay takes no letters for now (The relay closed the connection), "
        "next try at 15:15."
    ) in told(marketer, running)


def test_a_relay_out_of_reach_is_told_with_its_reason_and_its_age(
    app: Flask, marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    now_s = [100.0]
    app.extensions[waiting.PULSE] = pulse.Pulse(monotonic=lambda: now_s[0])
    a_dry_bucket(session, "provider:mailru", 40)
    away(session, "127.0.0.1", 9)
    for _ in range(2):
        page = told(marketer, running)
        assert (
            "The mail relay 127.0.0.1:9 has been out of reach since 14:50, last tried at 14:55: "
            "Connection refused. We try again by ourselves; nothing is lost."
        ) in page
        assert "provider limit" not in page
        assert "No sender is at work." not in page
        now_s[0] += pulse.SILENT_S


def away(session: Session, host: str, port: int) -> None:
    for minutes in (10, 5):
        absence.begin(
            session,
            Relay(host, port),
            because="The relay could not be reached: Connection refused",
            at=NOON - timedelta(minutes=minutes),
        )
    session.commit()


def test_a_relay_out_of_reach_keeps_nothing_back_while_another_answers(
    running: Campaign, session: Session, settings: Settings
) -> None:
    away(session, "127.0.0.1", 9)
    two = replace(settings, smtp_url="smtp://127.0.0.1:9 smtp://127.0.0.1:10")
    assert "out of reach" not in told_by_another(session, two, running)
    away(session, "127.0.0.1", 10)
    assert "The mail relay 127.0.0.1:9 has been" in told_by_another(session, two, running)


def test_a_relay_that_nobody_has_tried_for_long_is_not_accused(
    marketer: FlaskClient, running: Campaign, session: Session, time: Time
) -> None:
    away(session, "127.0.0.1", 9)
    time.moves_to(NOON + timedelta(minutes=11))
    assert "out of reach" not in told(marketer, running)


def test_a_wait_for_bounce_letters_is_told_with_its_end(
    marketer: FlaskClient, running: Campaign, session: Session, time: Time
) -> None:
    mailing_of(session, running).probe_until = NOON + timedelta(minutes=15)
    session.commit()
    sentence = "Waits until 15:15 for bounce letters to the first 200; then it goes on by itself"
    assert sentence in told(marketer, running)
    mailing_of(session, running).is_probed = True
    session.commit()
    assert "bounce letters" not in told(marketer, running)


def test_what_providers_have_against_us_is_told_by_provider_with_its_last_words(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    def refused(day: int, provider: str, reply: str, kind: Refusal = Refusal.POLICY) -> None:
        assert running.mailing_id is not None
        refusals.count(
            session,
            running.mailing_id,
            provider,
            {kind: 2},
            replies={kind: reply},
            at=NOON + timedelta(days=day),
        )

    refused(0, "gmail", "5.7.26 unauthenticated")
    refused(1, "gmail", "5.7.1 blocked")
    refused(1, "gmail", "5.3.4 too big", Refusal.OUR_FAULT)
    refused(0, "yandex", "5.1.1 no such user", Refusal.NO_SUCH_ADDRESS)
    refused(0, "mailru", "4.7.0 later", Refusal.RATE_LIMITED)
    session.commit()
    page = told(marketer, running)
    assert (
        "Gmail: refused as unwanted or unproven, 4 so far, the last with “5.7.1 blocked”." in page
    )
    assert "Gmail: refused by a fault of ours, 2 so far, the last with “5.3.4 too big”." in page
    assert page.count("so far, the last with") == 2


def test_letters_to_be_tried_again_are_counted_with_the_earliest_time(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    one, two = deliveries(session, mailing_of(session, running).id)
    taken(session, one, two)
    for minutes, letter in ((30, one), (15, two)):
        session.add(
            Retry(
                delivery_id=letter.id,
                mailing_id=letter.mailing_id,
                lane=Lane.BULK,
                provider="mailru",
                due_at=NOON + timedelta(minutes=minutes),
                tries=1,
            )
        )
    session.commit()
    page = told(marketer, running)
    assert "only letters refused for now are left, next try 15:15." in page
    assert "2 letters were refused for now; the first is tried again at 1 Mar 2027, 15:15." in page
    assert "from 15:15</span>" in page


def test_a_copied_installation_is_told_and_nothing_else(
    marketer: FlaskClient, running: Campaign, session: Session, settings: Settings
) -> None:
    a_dry_bucket(session, "provider:mailru", 40)
    installation.agree(session, settings, at=NOON)
    session.commit()
    (settings.state_dir / installation.IDENTITY).unlink()
    page = told(marketer, running)
    assert "The installation is held: The state folder has lost its epoch file" in page
    assert "provider limit" not in page


def told_by_another(session: Session, settings: Settings, campaign: Campaign) -> str:
    """By an application of its own, of these settings."""
    app = create_app(settings)
    app.test_client_class = FlaskLoginClient
    staff = session.scalars(select(Staff).where(Staff.lang == "en").limit(1)).one()
    with closing_its_connections(app):
        return told(app.test_client(user=staff), campaign)


def test_an_undeclared_relay_is_told(
    running: Campaign, session: Session, settings: Settings
) -> None:
    elsewhere = replace(settings, smtp_url="smtp://relay.mail.example:25")
    page = told_by_another(session, elsewhere, running)
    assert "No mail relay may be given letters." in page


def test_a_journal_that_cannot_be_written_is_told(
    marketer: FlaskClient, running: Campaign, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.safekeeping.journal.RESERVE", 1 << 62)
    assert "The journal's disk is full" in told(marketer, running)


def test_a_silent_sender_is_told_after_a_while_and_not_once_it_moves(
    app: Flask, marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    now_s = [100.0]
    app.extensions[waiting.PULSE] = pulse.Pulse(monotonic=lambda: now_s[0])
    silent = "No sender is at work."
    assert silent not in told(marketer, running)
    now_s[0] += pulse.SILENT_S - 1
    assert silent not in told(marketer, running)
    now_s[0] += 1
    assert silent in told(marketer, running)
    lease = taken(session, deliveries(session, mailing_of(session, running).id)[0])
    session.commit()
    assert silent not in told(marketer, running)
    for _ in range(3):
        now_s[0] += 10
        lease.beats += 1
        session.commit()
        assert silent not in told(marketer, running)
    now_s[0] += pulse.SILENT_S
    assert silent in told(marketer, running)


def test_an_application_tells_nothing_of_the_silence_that_another_heard(
    app: Flask, marketer: FlaskClient, running: Campaign, session: Session, settings: Settings
) -> None:
    now_s = [100.0]
    app.extensions[waiting.PULSE] = pulse.Pulse(monotonic=lambda: now_s[0])
    told(marketer, running)
    now_s[0] += pulse.SILENT_S
    silent = "No sender is at work."
    assert silent not in told_by_another(session, settings, running)
    assert silent in told(marketer, running)


def test_a_mailing_behind_another_is_told_to_wait_its_turn(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    taken(session, deliveries(session, mailing_of(session, running).id)[0])
    session.commit()
    second = approved(marketer, session, count=2)
    launch(session)
    assert "Waits: another mailing goes first." in told(marketer, second)
    assert "another mailing" not in told(marketer, running)


def test_nobody_is_missed_where_nothing_is_to_be_done(
    app: Flask, marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    now_s = [100.0]
    app.extensions[waiting.PULSE] = pulse.Pulse(monotonic=lambda: now_s[0])
    for letter in deliveries(session, mailing_of(session, running).id):
        ended(session, letter, DeliveryState.ACCEPTED)
    for _ in range(4):
        assert "No sender is at work." not in told(marketer, running)
        now_s[0] += 10


def test_what_held_a_mailing_is_told_with_what_to_do(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    mailing = mailing_of(session, running)
    mailing.state, mailing.held_because = MailingState.HELD, COMPLAINED
    session.commit()
    page = unescape(marketer.get(f"/campaigns/{running.id}").text)
    assert COMPLAINED in page
    assert page.count(f'action="/campaigns/{running.id}/resume"') == 1


def test_what_had_held_a_mailing_is_told_after_it_has_closed_by_itself(
    marketer: FlaskClient, running: Campaign, session: Session
) -> None:
    for letter in deliveries(session, mailing_of(session, running).id):
        ended(session, letter, DeliveryState.FAILED)
    mailing = mailing_of(session, running)
    mailing.state, mailing.held_because = MailingState.HELD, COMPLAINED
    session.commit()
    assert finish(session, at=NOON) == [mailing.id]
    session.commit()
    page = unescape(marketer.get(f"/campaigns/{running.id}").text)
    assert mailing_of(session, running).state is MailingState.FINISHED
    assert f"The system had held this mailing: {COMPLAINED}" in page
    assert f'action="/campaigns/{running.id}/resume"' not in page


def test_the_first_look_of_a_process_tells_nothing_and_an_old_one_is_forgotten() -> None:
    now_s = [0.0]
    memory = pulse.Pulse(monotonic=lambda: now_s[0])
    assert not memory.silent(1, (0, 0))
    now_s[0] = 1000.0
    assert not memory.silent(1, (0, 0))
    now_s[0] += pulse.SILENT_S
    assert memory.silent(1, (0, 0))
    assert not memory.silent(2, (0, 0))
