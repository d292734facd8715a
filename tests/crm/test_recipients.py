"""The links in our letters, through HTTP: the way out (RFC 8058) and the double opt-in."""

import contextlib
import logging
import socket
import threading
import time as wall
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Session

from crm.app import create_app
from crm.config import Settings
from crm.consent import gate
from crm.consent.ledger import Matter, Origin, record
from crm.consent.models import AddressStanding, ConsentEvent, ConsentText, Suppression
from crm.consent.rules import Act, Channel, Purpose, Reason
from crm.consent.service import refusal_now
from crm.consent.tokens import (
    Right,
    Unsubscribe,
    mint,
    mint_unsubscribe,
    signer,
    suppression_token,
)
from crm.contacts.models import Address, Contact
from tests.conftest import NOON, Time
from tests.crm.test_intake import Stranger, client
from tests.factories import (
    KEYS,
    a_clinic,
    a_contact,
    a_willing_contact,
    an_email,
    an_event,
    consent_texts,
    email_of,
)

__all__ = ["client"]

pytestmark = pytest.mark.usefixtures("time")


@pytest.fixture
def address(session: Session, time: Time) -> Address:
    """Somebody who wants letters; an hour later they have second thoughts."""
    a_clinic(session)
    address = email_of(session, a_willing_contact(session, email="anna@mail.example"))
    session.commit()
    time.moves_to(NOON + timedelta(hours=1))
    return address


def way_out(address_id: int, *, keys: tuple[str, ...] = KEYS) -> str:
    link = Unsubscribe(address_id, Purpose.MARKETING, Channel.EMAIL, 7)
    return "/u/" + mint_unsubscribe(signer(Right.UNSUBSCRIBE, keys), link)


def confirming(event: ConsentEvent) -> str:
    return "/o/" + mint(signer(Right.CONFIRM, KEYS), event.id)


def refused(session: Session, address: Address, *, hours: int = 2) -> Reason | None:
    session.rollback()
    at = NOON + timedelta(hours=hours)
    return refusal_now(session, address, Purpose.MARKETING, keys=KEYS, at=at)


def events(session: Session) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(ConsentEvent)) or 0


@contextlib.contextmanager
def holding(database: str, *statements: str) -> Iterator[None]:
    """Keep a transaction open, elsewhere, that has done these."""
    engine = create_engine(database)
    with engine.connect() as connection, connection.begin():
        for statement in statements:
            connection.execute(text(statement))
        yield
    engine.dispose()


class TestWayOut:
    def test_looking_changes_nothing_and_shows_a_masked_address(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        link, before = way_out(address.id), events(session)
        for method in ("get", "head", "options"):
            assert getattr(client, method)(link).status_code == 200
        page = client.get(link)
        assert "a***@mail.example" in page.text
        assert "anna@" not in page.text
        assert page.text.count("<button") == 1
        assert "Set-Cookie" not in page.headers
        assert (events(session), refused(session, address)) == (before, None)

    def test_one_click_stops_promotion_at_once(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        answer = client.post(way_out(address.id), data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert "Location" not in answer.headers
        assert refused(session, address) is Reason.OPTED_OUT
        last = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert last is not None
        assert (last.act, last.source, last.delivery_id) == (Act.OPTED_OUT, "one_click", 7)

    def test_a_person_s_button_is_told_apart_from_a_mail_program_s(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        client.post(way_out(address.id))
        assert session.scalars(
            select(ConsentEvent.source).where(ConsentEvent.act == Act.OPTED_OUT)
        ).all() == ["link"]

    def test_any_body_of_any_type_is_taken(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        bodies: list[tuple[bytes, str]] = [
            (b"", ""),
            (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
            (b"--x broken", "multipart/form-data; boundary=x"),
            (b"no boundary", "multipart/form-data"),
            (b"{", "application/json"),
            (b"\xff\xfe\x00", "text/plain; charset=nonsense"),
            (b"a" * 10_000_000, "application/x-www-form-urlencoded"),
            (b"&".join(b"a=1" for _ in range(5000)), "application/x-www-form-urlencoded"),
        ]
        for body, content_type in bodies:
            answer = client.post(way_out(address.id), data=body, content_type=content_type)
            assert answer.status_code == 200, content_type
        assert refused(session, address) is Reason.OPTED_OUT

    def test_again_is_200_and_adds_nothing(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        assert client.post(way_out(address.id)).status_code == 200
        before = events(session)
        assert client.post(way_out(address.id)).status_code == 200
        assert events(session) == before
        assert "<button" not in client.get(way_out(address.id)).text

    def test_asking_again_and_refusing_again_is_a_refusal_of_its_own(
        self, client: FlaskClient, session: Session, address: Address, time: Time
    ) -> None:
        client.post(way_out(address.id))
        matter = Matter(address_id=address.id, purpose=Purpose.MARKETING, channel=Channel.EMAIL)
        origin = Origin(source="form:test", text_id=consent_texts(session)["marketing_email"].id)
        at = NOON + timedelta(hours=2)
        asked = record(session, Act.ASKED, matter, origin, keys=KEYS, at=at)
        session.commit()
        time.moves_to(NOON + timedelta(hours=3))
        client.post(way_out(address.id))
        assert client.post(confirming(asked)).status_code == 404
        assert refused(session, address, hours=4) is Reason.OPTED_OUT

    def test_one_of_a_shared_mailbox_stops_it_for_everybody_behind_it(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        a_contact(session, email="anna@mail.example", first_name="Пётр")
        session.commit()
        assert session.scalar(select(func.count()).select_from(Contact)) == 2
        client.post(way_out(address.id))
        standing = session.scalars(
            select(AddressStanding).where(AddressStanding.address_id == address.id)
        ).one()
        assert standing.opted_out_at == NOON + timedelta(hours=1)
        stop = session.scalars(select(Suppression)).one()
        assert stop.token == suppression_token("email", "anna@mail.example", key=KEYS[0])

    def test_a_link_signed_with_an_older_key_still_works(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        assert client.post(way_out(address.id, keys=(KEYS[1],))).status_code == 200
        assert refused(session, address) is Reason.OPTED_OUT

    def test_a_damaged_link_does_nothing_and_says_whom_to_turn_to(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        link = way_out(address.id)
        middle = len(link) // 2
        other = "A" if link[middle] != "A" else "B"
        wrong = [link[:middle] + other + link[middle + 1 :], "/u/x", "/u/" + "a" * 5000]
        wrong.append(way_out(address.id, keys=("not-our-key-" + "z" * 32,)))
        wrong.append("/u/" + mint(signer(Right.CONFIRM, KEYS), address.id, "m", "e", 7))
        wrong.append(way_out(999_999))
        for one in wrong:
            for answer in (client.get(one), client.post(one)):
                assert answer.status_code == 404
                assert "info@clinic.example" in answer.text
        assert refused(session, address) is None

    def test_the_link_of_a_destroyed_address_still_answers_kindly(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        address.value = address.display = None
        address.destroyed_at = NOON
        bare = an_email(session)
        bare.value, bare.display, bare.destroyed_at = None, None, NOON
        session.commit()
        for one in (address, bare):
            assert client.get(way_out(one.id)).status_code == 200
            answer = client.post(way_out(one.id))
            assert answer.status_code == 200
            assert "mail.example" not in answer.text

    def test_a_refusal_beats_a_confirmation_stamped_by_a_faster_clock(
        self, client: FlaskClient, session: Session, address: Address
    ) -> None:
        ahead = NOON + timedelta(hours=1, seconds=20)
        an_event(session, Act.CONFIRMED, address, at=ahead)
        session.commit()
        assert client.post(way_out(address.id)).status_code == 200
        assert refused(session, address) is Reason.OPTED_OUT

    def test_a_stuck_sender_makes_it_202_and_the_stop_stands(
        self, client: FlaskClient, session: Session, address: Address, database: str
    ) -> None:
        stuck = f"SELECT pg_advisory_xact_lock_shared({gate.KEY})"
        with holding(database, stuck):
            began = wall.monotonic()
            answer = client.post(way_out(address.id))
            took = wall.monotonic() - began
        assert answer.status_code == 202
        assert took < 2
        assert refused(session, address) is Reason.OPTED_OUT

    def test_what_cannot_be_stored_in_time_is_503_and_never_200(
        self, client: FlaskClient, session: Session, address: Address, database: str
    ) -> None:
        with holding(database, "SELECT 1 FROM standings FOR UPDATE"):
            began = wall.monotonic()
            answer = client.post(way_out(address.id))
            took = wall.monotonic() - began
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "60"
        assert took < 2
        assert refused(session, address) is None

    @pytest.mark.parametrize("how", ["refused", "silent"])
    def test_without_a_database_it_is_503_within_two_seconds(
        self, settings: Settings, address: Address, how: str
    ) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            if how == "silent":
                listener.listen()
            port = listener.getsockname()[1]
            away = f"postgresql+psycopg://x:x@127.0.0.1:{port}/x"
            app = create_app(replace(settings, database_url=away))
            app.test_client_class = Stranger
            began = wall.monotonic()
            answer = app.test_client().post(way_out(address.id))
            took = wall.monotonic() - began
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert took < 2.5

    def test_no_log_line_names_the_address_or_the_link(
        self,
        client: FlaskClient,
        session: Session,
        address: Address,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        link = way_out(address.id)
        client.get(link)
        client.post(link)
        client.post(link[:-9] + "AAAA" + link[-5:])
        said = "\n".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
        assert "opted out" in said
        assert "anna" not in said
        assert link[3:30] not in said


@pytest.fixture
def texts(session: Session) -> dict[str, ConsentText]:
    a_clinic(session)
    return consent_texts(session)


@pytest.fixture
def asked(session: Session, texts: dict[str, ConsentText], time: Time) -> ConsentEvent:
    """A box was ticked; the letter's link is opened an hour later."""
    contact = a_contact(session, email="anna@mail.example")
    address = email_of(session, contact)
    matter = Matter(address_id=address.id, purpose=Purpose.MARKETING, channel=Channel.EMAIL)
    origin = Origin(source="form:test", contact_id=contact.id, text_id=texts["marketing_email"].id)
    event = record(session, Act.ASKED, matter, origin, keys=KEYS, at=NOON)
    session.commit()
    time.moves_to(NOON + timedelta(hours=1))
    return event


class TestDoubleOptIn:
    def test_looking_confirms_nothing(
        self, client: FlaskClient, session: Session, asked: ConsentEvent
    ) -> None:
        page = client.get(confirming(asked))
        assert page.status_code == 200
        assert "a***@mail.example" in page.text
        assert refused(session, session.get_one(Address, asked.address_id)) is Reason.UNCONFIRMED

    def test_the_button_confirms_for_the_stated_term_and_twice_is_once(
        self, client: FlaskClient, session: Session, asked: ConsentEvent
    ) -> None:
        link = confirming(asked)
        assert client.post(link).status_code == 200
        before = events(session)
        assert client.post(link).status_code == 200
        assert events(session) == before == 2
        last = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert last is not None
        assert last.text_id == asked.text_id
        assert last.expires_at is not None
        assert last.expires_at.year == 2030
        assert refused(session, session.get_one(Address, asked.address_id)) is None

    def test_an_old_link_after_a_refusal_confirms_nothing(
        self, client: FlaskClient, session: Session, asked: ConsentEvent, time: Time
    ) -> None:
        link = confirming(asked)
        client.post(link)
        time.moves_to(NOON + timedelta(hours=2))
        client.post(way_out(asked.address_id))
        time.moves_to(NOON + timedelta(hours=3))
        answer = client.post(link)
        assert answer.status_code == 404
        assert "info@clinic.example" in answer.text
        address = session.get_one(Address, asked.address_id)
        assert refused(session, address, hours=4) is Reason.OPTED_OUT

    def test_a_link_a_week_old_confirms_nothing(
        self, client: FlaskClient, session: Session, asked: ConsentEvent, time: Time
    ) -> None:
        time.moves_to(NOON + timedelta(days=7, seconds=1))
        assert client.get(confirming(asked)).status_code == 404
        assert client.post(confirming(asked)).status_code == 404
        assert events(session) == 1

    def test_a_fresh_confirmation_lifts_the_stop_under_any_key(
        self, client: FlaskClient, session: Session, asked: ConsentEvent, time: Time
    ) -> None:
        address = session.get_one(Address, asked.address_id)
        session.add(
            Suppression(
                token=suppression_token("email", "anna@mail.example", key=KEYS[1]),
                purpose=Purpose.MARKETING,
                kind=address.kind,
                key_id="old",
                reason=Reason.OPTED_OUT,
                at=NOON - timedelta(days=400),
                event_id=1,
            )
        )
        session.commit()
        assert client.post(confirming(asked)).status_code == 200
        assert refused(session, address) is None

    def test_a_confirmation_and_a_refusal_at_once_end_in_refusal(
        self, client: FlaskClient, session: Session, asked: ConsentEvent
    ) -> None:
        links = [confirming(asked), way_out(asked.address_id)] * 3
        threads = [threading.Thread(target=client.post, args=[link]) for link in links]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        address = session.get_one(Address, asked.address_id)
        assert refused(session, address) is Reason.OPTED_OUT
