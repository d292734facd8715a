"""Databases restored and installations copied: nothing leaves until a person has decided."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.db import db
from crm.delivery import service
from crm.delivery.models import Mailing
from crm.delivery.states import MailingState
from crm.operations.findings import MAILINGS_HELD
from crm.safekeeping import installation
from crm.safekeeping.rules import SAY, Why
from devtools.catcher import Sink
from tests.chaos.leaving import Leaving, all_leave, doors
from tests.chaos.nursery import Nursery, nursery
from tests.chaos.reckoning import dots as dots_of
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.conftest import a_copy
from tests.delivery.processes import site
from tests.delivery.test_faults import bury_at_once
from tests.factories import a_member_of_staff
from tests.safekeeping.test_installation import let_go

PEOPLE = 300
Launch = Callable[[int], Mailing]


@contextmanager
def a_backup(session: Session, server: Engine, one_database: Engine) -> Iterator[str]:
    """The database as it is now, in another of its own; yields its URL."""
    session.rollback()
    db.engine.dispose()
    one_database.dispose()  # nobody may be in a database that is copied
    with a_copy(server, str(one_database.url.database)) as url:
        yield url


@contextmanager
def inside(url: str) -> Iterator[Session]:
    engine = create_engine(url)
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def why_held(session: Session, settings: Settings) -> Why | None:
    found = installation.verdict(session, settings, at=clock.now())
    session.rollback()
    return found.why if found else None


@pytest.fixture
def at_work(session: Session, settings: Settings, campaign: Launch) -> Mailing:
    """An installation that knows who it is, with a campaign."""
    a_member_of_staff(session, "admin")
    mailing = campaign(PEOPLE)
    installation.agree(session, settings, at=clock.now())
    session.commit()
    return mailing


def in_place_of_the_first(session: Session, settings: Settings) -> None:
    """As a snapshot of the disk is put back: the server cannot tell it from the one before."""
    path = settings.state_dir / installation.IDENTITY
    oid = installation.look(session).database
    session.rollback()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"database": oid}))


@pytest.mark.parametrize(
    "why", [Why.OLDER, pytest.param(Why.OTHER_DATABASE, marks=pytest.mark.chaos)]
)
def test_a_restored_database_sends_nothing_until_released_and_then_doubles_nothing(
    session: Session, settings: Settings, sink: Sink, senders: Nursery, at_work: Mailing,
    server: Engine, one_database: Engine, why: Why, tmp_path: Path,
) -> None:  # fmt: skip
    mailing_id = at_work.id
    assert senders.live("after 250", nth=40) == "killed"
    bury_at_once(session)
    with a_backup(session, server, one_database) as url:
        assert senders.live("after 250", nth=80) == "killed"
        before = sink.count()
        restored = replace(settings, database_url=url)
        with inside(url) as backup, nursery(restored, tmp_path / "restored") as others:
            if why is Why.OLDER:
                in_place_of_the_first(backup, settings)
            assert others.live() == "ended"
            assert sink.count() == before, "a letter left before anybody decided"
            assert why_held(backup, restored) is why
            assert SAY[why] in said(backup, restored)
            with site(restored) as there:
                all_leave(there, doors(backup, restored)[-5:])

            let_go(backup, restored)
            mailing = backup.get_one(Mailing, mailing_id)
            assert mailing.state is MailingState.HELD
            assert MAILINGS_HELD in said(backup, restored)
            assert mailing.held_because
            service.resume(backup, mailing_id)
            backup.commit()
            bury_at_once(backup)
            assert others.live() == "ended"
            counted = reckon(backup, sink)
            assert counted.accepted + counted.uncertain == PEOPLE - 5
            assert counted.withheld == 5
            assert counted.accepted > 0


def test_of_two_copies_at_once_only_the_first_sends(
    session: Session, settings: Settings, sink: Sink, senders: Nursery, at_work: Mailing,
    server: Engine, one_database: Engine, dots: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """The folder was copied with the database, and carried to another machine."""
    with a_backup(session, server, one_database) as url:
        folder = tmp_path / "copied"
        shutil.copytree(settings.state_dir, folder, ignore=shutil.ignore_patterns("copied"))
        copied = replace(settings, database_url=url, state_dir=folder)
        with (
            nursery(copied, tmp_path / "dots of the copy") as others,
            inside(url) as copy,
            site(copied) as there,
            site(settings) as here,
            Leaving(here, doors(session, settings)) as leaving,
        ):
            senders.begin()
            others.begin()
            all_leave(there, doors(copy, copied)[-5:])
            assert others.hear() == senders.hear() == "ended"
            assert service.tally(copy, at_work.id).queued == PEOPLE
            assert why_held(copy, copied) is Why.OTHER_DATABASE
            assert SAY[Why.OTHER_DATABASE] in said(copy, copied)
        assert dots_of(tmp_path / "dots of the copy") == []
    leaving.check(dots_of(dots))
    assert why_held(session, settings) is None
    assert not said(session, settings) & set(SAY.values())
    counted = reckon(session, sink)
    assert counted.accepted + counted.withheld == PEOPLE


@pytest.mark.chaos
def test_a_folder_on_another_machine_sends_nothing_and_its_release_holds_the_first(
    session: Session, settings: Settings, sink: Sink, senders: Nursery, at_work: Mailing,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Both at the same database."""
    assert senders.live("after 250", nth=40) == "killed"
    bury_at_once(session)
    folder = tmp_path / "copied"
    shutil.copytree(settings.state_dir, folder, ignore=shutil.ignore_patterns("copied"))
    copied = replace(settings, state_dir=folder)
    path = folder / installation.IDENTITY
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another"}))
    before = sink.count()
    with nursery(copied, tmp_path / "others") as others:
        assert others.live() == "ended"
        assert sink.count() == before
        assert why_held(session, copied) is Why.OTHER_MACHINE
        assert SAY[Why.OTHER_MACHINE] in said(session, copied)
        with site(copied) as there:
            all_leave(there, doors(session, copied)[-5:])
        let_go(session, copied)
        assert why_held(session, settings) is Why.OTHER_COPY
        assert SAY[Why.OTHER_COPY] in said(session, settings)
        assert senders.live() == "ended"
        assert sink.count() == before, "the first goes on beside the released one"
        assert others.live() == "ended"
    counted = reckon(session, sink)
    assert counted.accepted + counted.uncertain == PEOPLE - 5
    assert counted.withheld == 5
