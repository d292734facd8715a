"""A mailing's figures by provider, its certificate, and what it costs to look at them."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from crm.audit.service import note
from crm.campaigns.figures import by_provider
from crm.campaigns.models import Campaign
from crm.consent.rules import Reason
from crm.delivery import service as delivery
from crm.delivery.close import finish
from crm.delivery.models import Delivery, Lease, Range, Retry
from crm.delivery.states import DeliveryState, Lane
from tests.conftest import NOON, Time
from tests.crm.campaigns import approved, deliveries, ended, launch, mailing_of, taken
from tests.factories import a_clinic, a_willing_contact

SignIn = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def _at_noon(time: Time) -> None:
    pass


@pytest.fixture
def marketer(signed_in: SignIn) -> FlaskClient:
    return signed_in("marketer")


def launched(client: FlaskClient, session: Session, *, people: int) -> Campaign:
    a_clinic(session)
    for _ in range(people):
        a_willing_contact(session)
    campaign = approved(client, session, count=people)
    launch(session)
    return campaign


def go_to(session: Session, letters: list[Delivery], provider: str) -> None:
    """As if the address had been this provider's from the beginning: a range of their own."""
    piece = session.scalars(select(Range).where(~Range.done)).one()
    for letter in letters:
        letter.provider = provider
    piece.provider = provider
    session.commit()


def test_each_provider_has_its_own_row_and_the_rows_are_the_whole(
    marketer: FlaskClient, session: Session
) -> None:
    campaign = launched(marketer, session, people=8)
    letters = deliveries(session, mailing_of(session, campaign).id)
    go_to(session, letters[:4], "gmail")
    ended(session, letters[0], DeliveryState.ACCEPTED)
    ended(session, letters[1], DeliveryState.FAILED, code=550)
    session.scalars(select(Lease).where(Lease.failed == 1)).one().bounced = 1
    ended(session, letters[2], DeliveryState.UNCERTAIN)
    taken(session, letters[3])
    go_to(session, letters[4:], "mailru")
    ended(session, letters[4], DeliveryState.WITHHELD, reason=Reason.OPTED_OUT)
    taken(session, letters[5])
    session.add(
        Retry(
            delivery_id=letters[5].id,
            mailing_id=letters[5].mailing_id,
            lane=Lane.BULK,
            provider="mailru",
            due_at=NOON + timedelta(minutes=5),
            tries=1,
        )
    )
    session.commit()
    tally, found = by_provider(session, letters[0].mailing_id, at=NOON)
    gmail, mailru = found
    assert (gmail.provider, gmail.planned, gmail.accepted, gmail.failed) == ("gmail", 4, 1, 1)
    assert (gmail.bounced, gmail.uncertain, gmail.sending, gmail.waiting) == (1, 1, 1, 0)
    assert (mailru.provider, mailru.planned, mailru.withheld) == ("mailru", 4, 1)
    assert (mailru.retries, mailru.waiting) == (1, 2)
    assert mailru.retry_at == NOON + timedelta(minutes=5)
    rows = delivery.tally(session, letters[0].mailing_id)
    assert rows.reasons == {Reason.OPTED_OUT: 1}
    rows.reasons.clear()
    assert tally == rows


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    seen: list[str] = []

    def see(_link: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = session.get_bind()
    assert isinstance(engine, Engine)
    event.listen(engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", see)


FINISHED = """
    WITH held AS (
        INSERT INTO leases (lane, mailing_id, provider, state, beats, windows, taken_at,
                            accepted, withheld, failed, uncertain, bounced)
        SELECT 'bulk', :mailing_id, 'other', 'ended', 0, 0, :at, 400, 100, 0, 0, 0
        FROM generate_series(1, :letters / 500)
    )
    INSERT INTO outcomes (delivery_id, mailing_id, state, reason, at)
    SELECT :first + n, :mailing_id, CASE WHEN n % 5 = 0 THEN 'withheld' ELSE 'accepted' END,
           CASE WHEN n % 5 = 0 THEN 'frequency_cap' END, :at
    FROM generate_series(1, :letters) AS n
"""
READ = """
    SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
    WHERE relname IN ('outcomes', 'leases', 'ranges', 'retries', 'windows', 'deliveries')
"""


def test_polling_asks_as_little_of_a_hundred_thousand_letters_as_of_a_thousand(
    marketer: FlaskClient, session: Session
) -> None:
    campaign = launched(marketer, session, people=1)
    mailing = mailing_of(session, campaign)
    marketer.get(f"/campaigns/{campaign.id}/progress")  # what is looked at once in a while
    asked, read = [], []
    for first, letters in ((1_000, 1_000), (10_000, 99_000)):
        ended_at = NOON - timedelta(days=3650)
        values = {"mailing_id": mailing.id, "first": first, "letters": letters, "at": ended_at}
        session.execute(text(FINISHED), values)
        mailing.planned = (mailing.planned or 0) + letters
        session.commit()
        session.execute(text("ANALYZE outcomes, leases"))
        session.commit()
        with statements(session) as seen:
            page = marketer.get(f"/campaigns/{campaign.id}/progress")
        assert page.status_code == 200
        asked.append(len(seen))
        read.append(session.scalar(text(READ)))
        session.commit()
    assert asked[0] == asked[1] <= 16, "\n".join(seen)
    assert read[1] < read[0] + 1_000, "the letters themselves are not read"


@pytest.fixture
def closed(marketer: FlaskClient, session: Session) -> Campaign:
    campaign = launched(marketer, session, people=6)
    one = deliveries(session, mailing_of(session, campaign).id)
    ended(session, one[0], DeliveryState.ACCEPTED)
    ended(session, one[1], DeliveryState.WITHHELD, reason=Reason.OPTED_OUT)
    ended(session, one[2], DeliveryState.WITHHELD, reason=Reason.OPTED_OUT)
    ended(session, one[3], DeliveryState.WITHHELD, reason=Reason.FREQUENCY_CAP)
    ended(session, one[4], DeliveryState.FAILED, code=550)
    ended(session, one[5], DeliveryState.UNCERTAIN)
    assert finish(session, at=NOON) == [campaign.mailing_id]
    session.commit()
    return campaign


def test_the_certificate_stands_on_the_page_and_its_lines_add_up(
    marketer: FlaskClient, session: Session, closed: Campaign
) -> None:
    page = marketer.get(f"/campaigns/{closed.id}").text.split("cl-certificate")[1]
    line = page.split("<p>")[1].split("</p>")[0]
    assert [int(word) for word in line.split() if word.isdigit()] == [6, 1, 3, 1, 1]
    given = marketer.get(f"/campaigns/{closed.id}/certificate.json")
    assert "attachment" in given.headers["Content-Disposition"]
    assert given.json == {
        "planned": 6,
        "accepted": 1,
        "withheld": 3,
        "reasons": {"opted_out": 2, "frequency_cap": 1},
        "failed": 1,
        "uncertain": 1,
        "counted_at": NOON.isoformat(),
        "list_hash": None,
    }


def test_the_certificate_is_a_table_whose_first_line_is_the_sum_of_the_others(
    marketer: FlaskClient, closed: Campaign
) -> None:
    answer = marketer.get(f"/campaigns/{closed.id}/certificate.csv")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    letters = list(rows[0])[-1]
    assert [(row["state"], row["reason"], int(row[letters])) for row in rows] == [
        ("planned", "", 6),
        ("accepted", "", 1),
        ("withheld", "opted_out", 2),
        ("withheld", "frequency_cap", 1),
        ("failed", "", 1),
        ("uncertain", "", 1),
    ]


def test_the_hash_of_the_list_is_on_it_where_the_audit_keeps_one(
    marketer: FlaskClient, session: Session, closed: Campaign
) -> None:
    note(
        session,
        "campaign.launched",
        at=NOON,
        actor_id=None,
        subject="campaign",
        subject_id=closed.id,
        mailing_id=closed.mailing_id,
        planned=6,
        list_hash="ab" * 32,
    )
    session.commit()
    assert "ab" * 32 in marketer.get(f"/campaigns/{closed.id}").text


def test_a_mailing_under_way_has_no_certificate(marketer: FlaskClient, session: Session) -> None:
    campaign = launched(marketer, session, people=1)
    assert "cl-certificate" not in marketer.get(f"/campaigns/{campaign.id}").text
    for kind in ("json", "csv"):
        assert marketer.get(f"/campaigns/{campaign.id}/certificate.{kind}").status_code == 404


def test_the_certificate_is_not_for_everybody(signed_in: SignIn, closed: Campaign) -> None:
    for role, status in (("dpo", 200), ("admin", 403), ("receptionist", 403)):
        for kind in ("json", "csv"):
            path = f"/campaigns/{closed.id}/certificate.{kind}"
            assert signed_in(role).get(path).status_code == status
