"""The ledger and what is derived from it, on a real database."""

from datetime import timedelta
from operator import itemgetter

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.consent.ledger import Matter, Origin, digest, record, standing_of
from crm.consent.models import (
    AddressStanding,
    ConsentEvent,
    ConsentPayload,
    ConsentText,
    Suppression,
)
from crm.consent.rules import Act, Bars, Channel, Purpose, Reason, Standing, fold, refusal
from crm.consent.service import bars, reason_column, refusal_now
from crm.contacts.models import Address
from tests.conftest import NOON
from tests.factories import KEYS, an_email, an_event, consent_texts
from tests.rules.test_consent import Event, histories, moment


def write(session: Session, address: Address, history: list[Event]) -> None:
    matter = Matter(address_id=address.id, purpose=Purpose.MARKETING, channel=Channel.EMAIL)
    for act, at, expires_at in sorted(history, key=itemgetter(1)):
        origin = Origin(source="form:test")
        record(session, act, matter, origin, keys=KEYS, at=at, expires_at=expires_at)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=histories)
def test_standing_and_audience_say_what_the_rules_say(
    session: Session, history: list[Event]
) -> None:
    address = an_email(session)
    write(session, address, history)
    key = (address.id, Purpose.MARKETING, Channel.EMAIL)
    row = session.get(AddressStanding, key)
    kept = standing_of(row)
    refolded = Standing()
    for event in session.scalars(
        select(ConsentEvent).where(ConsentEvent.address_id == address.id).order_by(ConsentEvent.id)
    ):
        refolded = fold(refolded, event.act, at=event.at, expires_at=event.expires_at)
    assert kept == refolded
    for purpose in Purpose:
        said = session.scalar(
            select(reason_column(purpose, at=NOON))
            .select_from(Address)
            .outerjoin(AddressStanding, AddressStanding.address_id == Address.id)
            .where(Address.id == address.id)
        )
        ruled = refusal(purpose, kept, Bars(), at=NOON)
        assert said == (None if ruled is None else ruled.value)
    # What the audience cannot see, the stop list, says no more than the standing does.
    listed = bars(session, address, Purpose.MARKETING, keys=KEYS)
    assert (refusal(Purpose.MARKETING, kept, listed, at=NOON) is None) == (
        refusal(Purpose.MARKETING, kept, Bars(), at=NOON) is None
    )


def test_the_database_refuses_to_change_or_remove_a_fact(session: Session) -> None:
    event = an_event(session, Act.OPTED_OUT, an_email(session))
    session.commit()
    for statement in (
        update(ConsentEvent).values(source="nobody"),
        delete(ConsentEvent),
        text("TRUNCATE consent_events CASCADE"),
    ):
        with pytest.raises(DBAPIError):
            session.execute(statement)
        session.rollback()
    assert session.get_one(ConsentEvent, event.id).source == "form:test"


def test_evidence_may_be_erased_but_not_rewritten_unseen(session: Session) -> None:
    matter = Matter(
        address_id=an_email(session).id, purpose=Purpose.MARKETING, channel=Channel.EMAIL
    )
    given = {"address": "anna@mail.example", "boxes": {"marketing_email": {"id": 1}}}
    origin = Origin(source="form:test", evidence=given)
    event = record(session, Act.ASKED, matter, origin, keys=KEYS, at=NOON)
    session.commit()
    proof = session.get_one(ConsentPayload, event.id)
    assert digest(proof.salt, proof.evidence) == event.payload_digest
    assert digest(proof.salt, {**given, "address": "petr@mail.example"}) != event.payload_digest
    session.execute(delete(ConsentPayload).where(ConsentPayload.event_id == event.id))
    session.commit()
    assert session.get_one(ConsentEvent, event.id).payload_digest is not None


def test_a_text_that_was_shown_is_never_edited(session: Session) -> None:
    consent_texts(session)
    session.commit()
    with pytest.raises(DBAPIError):
        session.execute(update(ConsentText).values(body="Другое"))
    session.rollback()


def test_the_stop_list_outlives_the_address_and_its_key(session: Session) -> None:
    address = an_email(session, "anna@mail.example")
    old_only = (KEYS[1],)
    matter = Matter(address_id=address.id, purpose=Purpose.MARKETING, channel=Channel.EMAIL)
    record(session, Act.OPTED_OUT, matter, Origin(source="link"), keys=old_only, at=NOON)
    address.value, address.display, address.destroyed_at = None, None, NOON
    session.flush()
    again = an_email(session, "anna@mail.example")
    assert again.id != address.id
    at = moment(1)
    refused = refusal_now(session, again, Purpose.MARKETING, keys=KEYS, at=at)
    assert refused is Reason.SUPPRESSED
    wrong = ("another-key-" + "z" * 32,)
    assert not bars(session, again, Purpose.MARKETING, keys=wrong).suppressed
    assert session.scalar(select(func.count()).select_from(Suppression)) == 1
    assert b"anna" not in session.scalars(select(Suppression)).one().token


def test_only_a_confirmation_after_the_stop_lifts_it(session: Session) -> None:
    address = an_email(session)
    an_event(session, Act.OPTED_OUT, address, at=NOON)
    an_event(session, Act.CONFIRMED, address, at=NOON)
    assert bars(session, address, Purpose.MARKETING, keys=KEYS).suppressed
    an_event(session, Act.CONFIRMED, address, at=NOON + timedelta(seconds=1))
    assert not bars(session, address, Purpose.MARKETING, keys=KEYS).suppressed


def test_a_session_that_has_read_a_standing_reads_what_a_fact_made_of_it(session: Session) -> None:
    address = an_email(session)
    an_event(session, Act.CONFIRMED, address)
    row = session.get_one(AddressStanding, (address.id, Purpose.MARKETING, Channel.EMAIL))
    assert standing_of(row) == Standing(confirmed_at=NOON)
    stop = an_event(session, Act.OPTED_OUT, address, at=NOON + timedelta(hours=1))
    assert standing_of(row) == Standing(confirmed_at=NOON, opted_out_at=stop.at)
    assert row.stop_event_id == stop.id
