"""The database restarted, crashed, cut off, full and quarrelsome, in the middle of a campaign."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from crm import clock, migrations
from crm.config import Settings
from crm.delivery import recover, rules
from crm.delivery.models import Mailing
from crm.delivery.service import Tally
from crm.delivery.states import Mishap
from crm.operations.findings import OVERCOME
from devtools.catcher import Sink
from tests.chaos import reckoning
from tests.chaos.leaving import Leaving, doors
from tests.chaos.nursery import nursery
from tests.chaos.reckoning import reckon
from tests.chaos.seen import readiness, said
from tests.chaos.servers import Database, a_place
from tests.delivery.processes import Site
from tests.delivery.test_faults import CUT_SENDERS, all_settled, wait_until

PEOPLE = 1500
AWAY_S = 3.0
DEAD_AFTER_S = 8.0
"""Longer than any sender is silent that lives."""
Launch = Callable[[int], Mailing]
Misfortune = Callable[[Site], object]
Story = Callable[[Misfortune], Tally]


@pytest.fixture(scope="module")
def server_of_ours() -> Iterator[Database]:
    with a_place() as place:
        database = Database(place)
        database.start()
        try:
            yield database
        finally:
            database.stop()


@pytest.fixture(scope="module")
def one_database(server_of_ours: Database) -> Iterator[Engine]:
    engine = create_engine(server_of_ours.url, pool_pre_ping=True)
    with engine.begin() as connection:
        migrations.migrate(connection)
    yield engine
    engine.dispose()


def watched(session: Session, watch: recover.Watch) -> bool:
    """Be the watcher: a lease whose taking was never answered is in nobody's hands."""
    session.rollback()
    for fence, beats in watch.silent(recover.live(session)).items():
        recover.bury(session, fence, beats, at=clock.now())
    session.commit()
    return True


@pytest.fixture
def story(
    app: Flask,
    session: Session,
    settings: Settings,
    sink: Sink,
    campaign: Launch,
    dots: Path,
    to: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> Story:
    """Two senders at work, people leaving, and the misfortune as soon as letters flow."""

    monkeypatch.setattr(rules, "DEAD_AFTER_S", DEAD_AFTER_S)
    watch = recover.Watch()

    def tell(misfortune: Misfortune) -> Tally:
        with (
            nursery(settings, dots, "--stay") as one,
            nursery(settings, dots, "--stay") as other,
        ):
            mailing_id = campaign(PEOPLE).id
            people = doors(session, settings)
            with Leaving(to, people) as leaving:
                one.begin()
                other.begin()
                wait_until(lambda: sink.count() > PEOPLE // 10)
                misfortune(to)
                wait_until(lambda: watched(session, watch) and all_settled(session, mailing_id))
            assert one.dismiss() == other.dismiss() == "ended"
        leaving.check(reckoning.dots(dots))
        counted = reckon(session, sink)
        assert counted.accepted + counted.withheld + counted.uncertain == PEOPLE
        assert OVERCOME[Mishap.DATABASE_AWAY] in said(session, settings)
        return counted

    return tell


@pytest.mark.parametrize("mode", ["fast", pytest.param("immediate", marks=pytest.mark.chaos)])
def test_a_database_restarted(server_of_ours: Database, story: Story, mode: str) -> None:
    def restart(_to: Site) -> None:
        server_of_ours.restart(mode)

    counted = story(restart)
    assert counted.uncertain == 0, "senders live on, and know what became of their letters"


@pytest.mark.chaos
def test_connections_cut_again_and_again(session: Session, story: Story) -> None:
    def cut(_to: Site) -> None:
        for _ in range(10):
            session.execute(text(CUT_SENDERS))
            session.commit()
            time.sleep(0.2)

    assert story(cut).uncertain == 0


@pytest.mark.chaos
def test_no_connection_left(session: Session, server_of_ours: Database, story: Story) -> None:
    def exhaust(to: Site) -> None:
        session.rollback()
        with server_of_ours.exhausted():
            status, state = readiness(to)
            time.sleep(AWAY_S)
        assert (status, state["database"]) == (503, "away")

    assert story(exhaust).uncertain == 0


QUARREL = """
    CREATE FUNCTION quarrel() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF random() < 0.08 THEN
            RAISE EXCEPTION 'injected' USING ERRCODE =
                (ARRAY['40001', '40P01'])[1 + floor(random() * 2)::int];
        END IF;
        RETURN NULL;
    END $$
"""
IN_THE_STATEMENT = """
    CREATE TRIGGER quarrel AFTER INSERT OR UPDATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION quarrel()
"""
AT_THE_COMMIT = """
    CREATE CONSTRAINT TRIGGER quarrel_late AFTER INSERT OR UPDATE ON {table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION quarrel()
"""


@pytest.fixture
def quarrel(session: Session) -> Iterator[Misfortune]:
    """From the call on many a statement fails, and many a commit, as if others had been quicker."""

    def begin(_to: Site) -> None:
        session.execute(text(QUARREL))
        for table in ("leases", "windows", "outcomes", "ranges", "consent_events"):
            session.execute(text(IN_THE_STATEMENT.format(table=table)))
        for table in ("leases", "consent_events"):
            session.execute(text(AT_THE_COMMIT.format(table=table)))
        session.commit()

    yield begin
    session.rollback()
    session.execute(text("DROP FUNCTION quarrel CASCADE"))
    session.commit()


@pytest.mark.chaos
def test_serialisation_failures_and_deadlocks(quarrel: Misfortune, story: Story) -> None:
    assert story(quarrel).uncertain == 0
