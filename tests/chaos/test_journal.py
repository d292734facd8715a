"""The journal without room, and without a folder: nothing leaves that is not written down."""

import resource
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.consent.tokens import suppression_token
from crm.delivery.models import Mailing
from crm.operations.findings import STOPS_NOT_KEPT
from crm.safekeeping import stops
from crm.safekeeping.journal import JournalAway
from crm.safekeeping.lines import TOKEN
from crm.safekeeping.reading import Fault, records
from devtools.catcher import Sink
from tests.chaos.leaving import doors, opt_out, wake_up
from tests.chaos.nursery import nursery
from tests.chaos.reckoning import reckon
from tests.chaos.seen import said
from tests.delivery.processes import site
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
