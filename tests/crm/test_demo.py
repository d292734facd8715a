"""The demo clinic: whole, invented, lawful, and the same as if it had happened."""

import re
import time as clocks
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.appointments.models import Appointment, AppointmentState, Request, RequestState
from crm.audit import seal
from crm.campaigns import audience
from crm.campaigns.letter import errors, notices
from crm.campaigns.models import Campaign
from crm.clinic.service import details, missing
from crm.config import Settings
from crm.consent import refold
from crm.consent.models import AddressStanding, ConsentEvent, ConsentText, Suppression
from crm.consent.refold import LOGS
from crm.consent.rules import Act, Channel, Purpose, Reason
from crm.consent.service import refusal_now
from crm.contacts.models import Address, Contact, Kind
from crm.delivery.books import unbalanced
from crm.delivery.models import Mailing, Outcome
from crm.delivery.states import DeliveryState, Lane
from crm.demo import load as demo
from crm.demo.names import Called, invent, relative
from crm.demo.posted import UNANSWERED
from crm.demo.rows import put
from crm.intake.models import Form
from crm.letters.merge import Kind as LetterKind
from crm.letters.reading import read_document
from crm.mail.addresses import Domains, read_email, read_phone
from crm.staff.models import RoleName, Staff
from tests.conftest import NOON

MOSCOW, DAY = ZoneInfo("Europe/Moscow"), timedelta(days=1)
SITE = "http://127.0.0.1:8026"


@pytest.fixture
def loaded(session: Session, settings: Settings) -> list[demo.SignIn]:
    sign_ins = demo.load(session, origins=[SITE], settings=settings, at=NOON)
    session.commit()
    return sign_ins


def test_everything_that_is_derived_is_what_the_ledger_makes_of_it(
    session: Session, settings: Settings, loaded: list[demo.SignIn]
) -> None:
    assert refold.differences(session) == []
    assert refold.doubtful_evidence(session) == 0
    for log, table in LOGS.items():
        assert seal.verify(session, log, table) == []
    counted, wrong = unbalanced(session)
    assert (counted >= 4, wrong) == (True, [])
    _the_stop_list_agrees(session, settings)
    _the_team_is_whole(session, loaded)
    _people_are_nobody(session)
    _reception_has_work(session)
    _campaigns_can_be_looked_at(session, settings)
    _texts_can_be_shown(session)


def _the_stop_list_agrees(session: Session, settings: Settings) -> None:
    row = AddressStanding
    marketing = (row.purpose == Purpose.MARKETING, row.channel == Channel.EMAIL)
    at_random = select(Address).join(row, row.address_id == Address.id).where(*marketing)
    reached = 0
    for address in session.scalars(at_random.where(Address.id % 7 == 0)):
        keys = settings.suppression_keys
        reason = refusal_now(session, address, Purpose.MARKETING, keys=keys, at=NOON)
        reached += reason is None
        assert reason is not Reason.SUPPRESSED, "a stop lies in the list and not in the standing"
    assert reached > 50
    left_out = audience.count(session, at=NOON).left_out
    wanted = {Reason.OPTED_OUT, Reason.BOUNCED, Reason.COMPLAINED, Reason.EXPIRED}
    assert wanted | {Reason.UNCONFIRMED, Reason.NEVER_ASKED, Reason.WITHDRAWN} <= set(left_out)
    assert left_out[Reason.DUPLICATE_ADDRESS] > 10
    assert session.scalar(select(func.count()).where(Suppression.lifted_at.is_not(None)))


def _the_team_is_whole(session: Session, loaded: list[demo.SignIn]) -> None:
    staff = session.scalars(select(Staff)).all()
    assert {role.name for one in staff for role in one.roles} == set(RoleName)
    assert {one.email for one in staff} == {one.email for one in loaded}
    assert not any("demo" in one.password for one in loaded), "known passwords on a public address"
    assert missing(details(session)) == []


def _people_are_nobody(session: Session) -> None:
    assert session.scalar(select(func.count()).select_from(Contact)) == 2000
    for address in session.scalars(select(Address).where(Address.id % 5 == 0)):
        value = address.value or ""
        if address.kind is Kind.EMAIL:
            assert re.search(r"\.(example|test)$", value)
            assert read_email(value, domains=Domains.WITH_TEST).value == value
        else:
            assert re.fullmatch(r"\+7(94[3-9]|97[2346])\d{7}", value)
            assert read_phone(value).value == value
            assert read_phone(value).display == address.display


def _reception_has_work(session: Session) -> None:
    states = set(session.scalars(select(Request.state).distinct()))
    assert states == set(RequestState)
    wanted = {"proposed", "confirmed", "move_requested", "arrived"}
    assert {AppointmentState(one) for one in wanted} <= set(
        session.scalars(select(Appointment.state).distinct())
    )
    waiting = (Request.state == RequestState.WAITING, Request.received_at > NOON)
    assert session.scalar(select(func.count()).where(*waiting)) == 0


def _campaigns_can_be_looked_at(session: Session, settings: Settings) -> None:
    clinic = details(session)
    for campaign in session.scalars(select(Campaign)):
        read_document(campaign.document, LetterKind.PROMOTIONAL)
        if campaign.mailing_id is not None:
            assert errors(notices(campaign, clinic, settings)) == []
    states = set(session.scalars(select(Outcome.state).distinct()))
    assert states >= {
        DeliveryState.ACCEPTED,
        DeliveryState.WITHHELD,
        DeliveryState.FAILED,
        DeliveryState.UNCERTAIN,
    }
    undecided = select(func.count()).where(
        Outcome.state == DeliveryState.WITHHELD,
        Outcome.reason != Reason.STOPPED,
        Outcome.event_id.is_(None),
    )
    assert session.scalar(undecided) == 0


def _texts_can_be_shown(session: Session) -> None:
    texts = session.scalars(select(ConsentText)).all()
    assert {(one.key, one.lang) for one in texts} == {
        (key, lang) for key in ("policy", "processing", "marketing_email") for lang in ("ru", "en")
    }
    for one in texts:
        assert "{" not in one.body
        assert details(session).inn in one.body
        assert len(one.body.split("\n\n")) > 5
    shown = session.execute(
        select(ConsentEvent.at, ConsentText.valid_from, ConsentText.retired_at, ConsentText.version)
        .join(ConsentText, ConsentText.id == ConsentEvent.text_id)
        .where(ConsentEvent.act == Act.ASKED)
    ).all()
    assert all(at >= start and (end is None or at < end) for at, start, end, _version in shown)
    assert {version for *_rest, version in shown} == {1, 2}


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 22, 18, 17, tzinfo=UTC),
        datetime(2028, 2, 29, 22, 30, tzinfo=UTC),
        datetime(2027, 1, 1, 4, tzinfo=UTC),
    ],
    ids=["a Sunday's evening", "past midnight in Moscow", "the morning of a year"],
)
def test_there_is_something_to_decide_on_whenever_it_is_loaded(
    session: Session, settings: Settings, at: datetime
) -> None:
    demo.load(session, origins=[], settings=settings, at=at)
    doubted = session.scalars(
        select(func.count())
        .where(Outcome.state == DeliveryState.UNCERTAIN)
        .group_by(Outcome.mailing_id)
    ).all()
    assert list(doubted) == [UNANSWERED, UNANSWERED]
    midnight = at.astimezone(MOSCOW).replace(hour=0, minute=0)
    today = (Appointment.starts_at >= midnight, Appointment.starts_at < midnight + DAY)
    assert (session.scalar(select(func.count()).where(*today)) or 0) > 10
    to_come = select(Appointment.state).where(Appointment.starts_at > at).distinct()
    assert {*session.scalars(to_come)} >= {AppointmentState.PROPOSED, AppointmentState.CONFIRMED}
    launched = session.scalars(select(Mailing.launched_at).where(Mailing.lane == Lane.BULK)).all()
    assert all(one is not None and one.astimezone(MOSCOW).weekday() < 5 for one in launched)


def _seeded(number: int) -> Random:
    return Random(number)


def test_the_same_clinic_is_invented_every_time() -> None:
    one, other = _seeded(7), _seeded(7)
    assert [invent(one) for _ in range(50)] == [invent(other) for _ in range(50)]


def test_last_name_and_patronymic_agree_in_gender() -> None:
    rng = _seeded(1)
    people = [invent(rng) for _ in range(2000)]
    for called in people:
        if called.patronymic:
            assert called.woman == called.patronymic.endswith(("на", "кызы")), called
        for part in called.last.split("-"):
            if part.endswith(("ов", "ев", "ёв", "ин", "ский", "ый")):
                assert not called.woman, called
            if part.endswith(("ова", "ева", "ёва", "ская", "ая")):
                assert called.woman, called
    assert any("ё" in called.last for called in people)
    assert any("-" in called.last for called in people)
    assert any(called.last.isascii() for called in people)


def test_a_family_bears_one_name_in_two_forms() -> None:
    rng = _seeded(2)
    lasts = {relative(rng, Called("Щукин", "Пётр", "", woman=False)).last for _ in range(30)}
    assert lasts == {"Щукин", "Щукина"}


def test_a_database_with_somebody_in_it_is_refused_and_left_alone(
    session: Session, settings: Settings
) -> None:
    session.add(
        Form(
            key="own",
            kind="question",  # type: ignore[arg-type]
            title_ru="Вопрос",
            title_en="Question",
            text_keys=["processing"],
            origins=[],
            created_at=NOON,
        )
    )
    session.commit()
    with pytest.raises(demo.NotEmpty):
        demo.load(session, origins=[], settings=settings, at=NOON)
    assert session.scalar(select(func.count()).select_from(Contact)) == 0


def test_ids_go_on_after_those_of_the_demo(session: Session) -> None:
    put(
        session,
        Address,
        [
            {
                "id": 41,
                "kind": Kind.EMAIL,
                "value": "a@pochta.example",
                "display": "a@pochta.example",
                "provider": "other",
                "created_at": NOON,
            }
        ],
    )
    added = Address(
        kind=Kind.EMAIL, value="b@pochta.example", display="b@pochta.example", created_at=NOON
    )
    session.add(added)
    session.flush()
    assert added.id == 42


def test_the_page_of_the_development_site_may_embed_the_forms(
    session: Session, loaded: list[demo.SignIn]
) -> None:
    assert all(SITE in form.origins for form in session.scalars(select(Form)))
    assert demo.allow_origin(session, "http://127.0.0.1:9999") == 2
    assert demo.allow_origin(session, "http://127.0.0.1:9999") == 0


@pytest.mark.long
def test_a_first_start_does_not_take_long(session: Session, settings: Settings) -> None:
    began = clocks.monotonic()
    demo.load(session, origins=[], settings=settings, at=NOON)
    session.commit()
    assert clocks.monotonic() - began < 8
