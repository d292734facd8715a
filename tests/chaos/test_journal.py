"""The journal without room, and without a folder: nothing leaves that is not written down."""

import resource
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.consent.tokens import suppression_token
from crm.delivery.models import Mailing
from crm.operations.findings import STOPS_NOT_KEPT
from crm.safekeeping import stops
from crm.safekeeping.journal import JournalAway, JournalFull
from crm.safekeeping.lines import TOKEN
from crm.safekeeping.reading import Fault, records
from devtools.catcher import Sink
from tests.chaos.leaving import all_leave, doors
from tests.chaos.nursery import nursery
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.delivery.processes import Site, site
from tests.delivery.test_faults import all_settled, wait_until

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


@contextmanager
def on_a_full_disk(process: int) -> Iterator[None]:
    """A process that may write no file finds the same; 0 is this one."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


def test_no_letter_leaves_while_the_journals_disk_is_full_and_all_do_once_there_is_room(
    session: Session, settings: Settings, sink: Sink, campaign: Launch, to: Site
) -> None:
    mailing_id = campaign(PEOPLE).id
    people = doors(session, settings)
    with nursery(settings, NOWHERE, "--stay") as senders:
        child = senders.begin()
        wait_until(lambda: sink.count() > PEOPLE // 10)
        with on_a_full_disk(child):
            assert comes_to_rest(sink) < PEOPLE, "there was nothing left to stop"
            assert every_letter_is_written_down(sink, settings)
            all_leave(to, people[-5:])
            with on_a_full_disk(0):
                sentences = said(session, settings)
            assert JournalFull.say in sentences
        assert JournalFull.say not in said(session, settings)
        wait_until(lambda: all_settled(session, mailing_id))
        assert senders.dismiss() == "ended"
    assert every_letter_is_written_down(sink, settings)
    counted = reckon(session, sink)
    assert (counted.accepted, counted.withheld) == (PEOPLE - 5, 5)


def test_refusals_are_obeyed_while_the_journal_has_no_folder(
    session: Session, settings: Settings, sink: Sink, campaign: Launch
) -> None:
    mailing_id = campaign(PEOPLE).id
    people = doors(session, settings)
    in_the_way = settings.state_dir / "journal"
    in_the_way.write_text("")
    with nursery(settings, NOWHERE, "--stay") as senders, site(settings) as to:
        senders.begin()
        all_leave(to, people[-5:])
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
