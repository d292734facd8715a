"""The journal on a real disk: what is written is read, and what was done to it is found."""

import os
import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from crm.config import Settings
from crm.consent.tokens import suppression_token
from crm.safekeeping import journal as writing
from crm.safekeeping import lines, reading
from crm.safekeeping.journal import Journal, JournalAway, JournalFull
from crm.safekeeping.reading import Fault, Record
from crm.safekeeping.rules import Marks
from tests.conftest import KEYS, NOON

MAILING = uuid4()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url="postgresql+psycopg://nowhere",
        redis_url="redis://nowhere",
        smtp_url="smtp://nowhere",
        public_url="https://crm.clinic.example",
        secret_keys=KEYS,
        suppression_keys=KEYS,
        state_dir=tmp_path,
    )


def tokens(how_many: int) -> list[bytes]:
    return [
        suppression_token("email", f"anna{one}@mail.example", key=KEYS[0])
        for one in range(how_many)
    ]


def hand(journal: Journal, fence: int, *, mailing: UUID = MAILING, letters: int = 3) -> None:
    journal.handing(
        fence=fence,
        window_id=fence,
        mailing_key=mailing,
        last_delivery_id=fence * 10,
        tokens=tokens(letters),
        at=NOON + timedelta(seconds=fence),
    )


def read(settings: Settings) -> tuple[list[Record], list[Fault]]:
    faults: list[Fault] = []
    return list(reading.records(settings, faults)), faults


def files(settings: Settings) -> list[Path]:
    return sorted(settings.state_dir.glob("journal/*/*.log"), key=lambda path: path.stat().st_ctime)


@contextmanager
def no_file_may_grow_beyond(size: int) -> Iterator[None]:
    """The kernel itself refuses, and cuts the write that would pass the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_written_is_read_in_the_order_of_time(settings: Settings) -> None:
    one, other = Journal(settings), Journal(settings)
    for fence in range(1, 7):
        hand(one if fence % 2 else other, fence)
    found, faults = read(settings)
    assert [record.said["fence"] for record in found] == [1, 2, 3, 4, 5, 6]
    assert lines.unpacked(found[0].said["to"]) == [token[:16] for token in tokens(3)]
    assert faults == []
    assert len(files(settings)) == 2


def test_a_day_has_a_folder_of_its_own_and_old_ones_go(settings: Settings) -> None:
    own = Journal(settings)
    hand(own, 1)
    hand(own, 24 * 3600)
    assert [day.name for day in reading.days(settings.state_dir)] == ["2027-03-01", "2027-03-02"]
    assert reading.tidy(settings.state_dir, at=NOON + reading.KEPT) == 0
    assert reading.tidy(settings.state_dir, at=NOON + reading.KEPT + timedelta(days=1)) == 1
    assert [record.said["fence"] for record in read(settings)[0]] == [24 * 3600]


def test_nothing_in_it_tells_whom_a_letter_was_for(settings: Settings) -> None:
    hand(Journal(settings), 1)
    whole = files(settings)[0].read_bytes()
    assert b"anna" not in whole
    assert b"@" not in whole
    assert files(settings)[0].stat().st_mode & 0o077 == 0


def test_a_torn_last_line_is_forgiven(settings: Settings) -> None:
    own = Journal(settings)
    hand(own, 1)
    hand(own, 2)
    own.close()
    path = files(settings)[0]
    os.truncate(path, path.stat().st_size - 7)
    found, faults = read(settings)
    assert [record.said["fence"] for record in found] == [1]
    assert faults == []


@pytest.mark.parametrize(
    ("before", "after", "number"),
    [
        (b'"fence":2', b'"fence":9', 3),
        (b'"at":"2027-03-01T12:00:02+00:00","kind":"handing"', b'"at":"2027","kind":"handing"', 3),
        (b"\n", b"", 1),
    ],
)
def test_an_edited_line_is_found(
    settings: Settings, before: bytes, after: bytes, number: int
) -> None:
    own = Journal(settings)
    for fence in (1, 2, 3):
        hand(own, fence)
    path = files(settings)[0]
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    assert [fault.number for fault in read(settings)[1]][:1] == [number]


def test_a_line_taken_out_is_found(settings: Settings) -> None:
    own = Journal(settings)
    for fence in (1, 2, 3):
        hand(own, fence)
    path = files(settings)[0]
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*kept[:2], *kept[3:]]))
    found, faults = read(settings)
    assert [(fault.number, fault.what) for fault in faults] == [
        (3, "is not what was written there")
    ]
    assert [record.said["fence"] for record in found] == [1, 3], "what can be read still counts"


def test_lines_written_under_an_older_key_are_still_verified(settings: Settings) -> None:
    hand(Journal(settings), 1)
    newer = replace(settings, suppression_keys=("newest-key-" + "x" * 32, *KEYS))
    hand(Journal(newer), 2)
    assert [record.said["fence"] for record in read(newer)[0]] == [1, 2]
    assert read(newer)[1] == []
    without = replace(settings, suppression_keys=newer.suppression_keys[:1])
    assert {fault.what for fault in read(without)[1]} == {
        "was written under a key that is not here"
    }


def test_a_full_disk_stops_letters_and_the_next_record_is_whole(settings: Settings) -> None:
    own = Journal(settings)
    hand(own, 1)
    size = files(settings)[0].stat().st_size
    with no_file_may_grow_beyond(size + 20), pytest.raises(JournalFull):
        hand(own, 2)
    assert files(settings)[0].stat().st_size == size + 20, "the kernel cut the line"
    hand(own, 3)
    found, faults = read(settings)
    assert [record.said["fence"] for record in found] == [1, 3]
    assert faults == []


def test_a_disk_that_stays_full_gathers_no_empty_files(settings: Settings) -> None:
    with no_file_may_grow_beyond(20):
        for _ in range(3):
            with pytest.raises(JournalFull):
                Journal(settings).write([{"kind": "stop", "event": 7}], at=NOON)
    assert files(settings) == []


def test_letters_leave_room_for_refusals(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "RESERVE", 1 << 62)
    own = Journal(settings)
    with pytest.raises(JournalFull):
        hand(own, 1)
    assert own.trouble() == JournalFull.say
    own.write([{"kind": "stop", "event": 7}], at=NOON)
    assert [record.kind for record in read(settings)[0]] == ["stop"]


def test_a_folder_that_is_gone_stops_letters(settings: Settings) -> None:
    away = replace(settings, state_dir=settings.state_dir / "unmounted")
    own = Journal(away)
    with pytest.raises(JournalAway) as refused:
        hand(own, 1)
    assert not isinstance(refused.value, JournalFull)
    assert own.trouble() == JournalAway.say


def test_a_forked_child_writes_a_file_of_its_own(settings: Settings) -> None:
    own = Journal(settings)
    hand(own, 1)
    child = os.fork()
    if child == 0:
        hand(own, 2)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    hand(own, 3)
    assert read(settings)[1] == []
    assert len(read(settings)[0]) == 3
    assert len(files(settings)) == 2


def test_the_newest_numbers_are_read_from_the_ends_of_files(settings: Settings) -> None:
    own, tails = Journal(settings), reading.Tails()
    for fence in (1, 2):
        hand(own, fence)
    own.write([{"kind": "stop", "event": 5}], at=NOON)
    assert tails.marks(settings.state_dir) == Marks(fence=2, window=2, delivery=20, event=5)
    hand(Journal(settings), 3, letters=500)
    assert tails.marks(settings.state_dir).fence == 3


@pytest.mark.long
def test_a_hundred_thousand_records_are_read_in_flat_memory(settings: Settings) -> None:
    own = Journal(settings)
    for start in range(0, 100_000, 10_000):
        some = [{"kind": "stop", "event": start + one} for one in range(10_000)]
        own.write(some, at=NOON)
    faults: list[Fault] = []
    tracemalloc.start()
    try:
        count = sum(1 for _ in reading.records(settings, faults))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (count, faults) == (100_000, [])
    assert peak < 1_000_000
