"""The journal without room or without a folder; databases restored, installations copied."""

import json
import resource
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.consent.tokens import suppression_token
from crm.db import db
from crm.delivery import service
from crm.delivery.models import Mailing
from crm.delivery.states import MailingState
from crm.operations.findings import MAILINGS_HELD, STOPS_NOT_KEPT
from crm.safekeeping import installation, stops
from crm.safekeeping.journal import JournalAway
from crm.safekeeping.lines import TOKEN
from crm.safekeeping.reading import Fault, records
from crm.safekeeping.rules import SAY, Why
from devtools.catcher import Sink
from tests.chaos.leaving import doors, opt_out, wake_up
from tests.chaos.nursery import Nursery, nursery
from tests.chaos.reckoning import dots as dots_of
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.conftest import a_copy
from tests.delivery.processes import site
from tests.delivery.test_faults import all_settled, bury_at_once, wait_until
from tests.factories import a_member_of_staff
from tests.safekeeping.test_installation import let_go

PEOPLE = 300
NOWHERE = Path("/dev/null")
Launch = Callable[[int], Mailing]


def written_down(settings: Settings) -> set[bytes]:
    """Return the tokens of everybody whose letter the journal saw leaving."""
    faults: list[Fault] = []
    found: set[bytes] = set()
    for one in records(settings, faults):
        if one.kind == "handing":
            packed = b64decode(one.said["to"])
            found.update(packed[at : at + TOKEN] for at in range(0, len(packed), TOKEN))
    assert faults == []
    return found


def token_of(address: str, settings: Settings) -> bytes:
    return suppression_token("email", address, key=settings.suppression_keys[0])[:TOKEN]


def every_letter_is_written_down(sink: Sink, settings: Settings) -> bool:
    known = written_down(settings)
    return all(token_of(letter.rcpt, settings) in known for letter in sink.messages())


def comes_to_rest(sink: Sink) -> int:
    """Wait until no more letters arrive; return how many there are."""
    counts = [-1, sink.count()]
    until = time.monotonic() + 20
    while counts[-1] != counts[-2]:
        assert time.monotonic() < until, "letters go on"
        time.sleep(1.0)
        counts.append(sink.count())
    return counts[-1]


def test_no_letter_leaves_while_the_journals_disk_is_full_and_all_do_once_there_is_room(
    session: Session, settings: Settings, sink: Sink, campaign: Launch
) -> None:
    """A process that may write no file finds the same as on a full disk."""
    mailing_id = campaign(PEOPLE).id
    with nursery(settings, NOWHERE, "--stay") as senders:
        child = senders.begin()
        wait_until(lambda: sink.count() > PEOPLE // 10)
        _, hard = resource.prlimit(child, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert comes_to_rest(sink) < PEOPLE, "there was nothing left to stop"
        assert every_letter_is_written_down(sink, settings)
        resource.prlimit(child, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        wait_until(lambda: all_settled(session, mailing_id))
        assert senders.dismiss() == "ended"
    assert every_letter_is_written_down(sink, settings)
    assert reckon(session, sink).accepted == PEOPLE


def test_refusals_are_obeyed_while_the_journal_has_no_folder(
    session: Session, settings: Settings, sink: Sink, campaign: Launch
) -> None:
    mailing_id = campaign(PEOPLE).id
    people = doors(session, settings)
    in_the_way = settings.state_dir / "journal"
    in_the_way.write_text("")
    with nursery(settings, NOWHERE, "--stay") as senders, site(settings) as to:
        senders.begin()
        wake_up(to)
        told = [opt_out(to, door) for door in people[-5:]]
        assert {one.status for one in told} == {200}
        assert max(one.took_s for one in told) <= 2.0
        assert sink.count() == 0
        assert stops.waiting(session) == 5
        session.rollback()
        assert JournalAway.say in said(session, settings)
        assert STOPS_NOT_KEPT in said(session, settings, later=timedelta(minutes=2))
        in_the_way.unlink()
        wait_until(lambda: all_settled(session, mailing_id))
        assert senders.dismiss() == "ended"
    assert stops.keep(session, settings, at=clock.now())
    assert stops.waiting(session) == 0
    counted = reckon(session, sink)
    assert (counted.accepted, counted.withheld) == (PEOPLE - 5, 5)
    assert every_letter_is_written_down(sink, settings)


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
    with Session(engine) as session:
        yield session
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


@pytest.mark.parametrize("why", [Why.OTHER_DATABASE, Why.OLDER])
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
            assert counted.accepted + counted.uncertain == PEOPLE
            assert counted.accepted > 0


def test_of_two_copies_at_once_only_the_first_sends(
    session: Session, settings: Settings, sink: Sink, senders: Nursery, at_work: Mailing,
    server: Engine, one_database: Engine, tmp_path: Path,
) -> None:  # fmt: skip
    """The folder was copied with the database, and carried to another machine."""
    with a_backup(session, server, one_database) as url:
        folder = tmp_path / "copied"
        shutil.copytree(settings.state_dir, folder, ignore=shutil.ignore_patterns("copied"))
        copied = replace(settings, database_url=url, state_dir=folder)
        with nursery(copied, tmp_path / "dots of the copy") as others, inside(url) as copy:
            senders.begin()
            others.begin()
            assert others.hear() == senders.hear() == "ended"
            assert service.tally(copy, at_work.id).queued == PEOPLE
            assert why_held(copy, copied) is Why.OTHER_DATABASE
        assert dots_of(tmp_path / "dots of the copy") == []
    assert why_held(session, settings) is None
    assert reckon(session, sink).accepted == PEOPLE


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
        let_go(session, copied)
        assert why_held(session, settings) is Why.OTHER_COPY
        assert senders.live() == "ended"
        assert sink.count() == before, "the first goes on beside the released one"
        assert others.live() == "ended"
    counted = reckon(session, sink)
    assert counted.accepted + counted.uncertain == PEOPLE
