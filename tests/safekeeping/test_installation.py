"""A copy and a restored backup are found, and neither sends until a person releases it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session

from crm.audit.models import AuditEvent
from crm.config import Settings
from crm.consent.models import ConsentEvent, Suppression
from crm.consent.rules import Act, Channel, Purpose, Reason
from crm.consent.service import refusal_now
from crm.consent.tokens import Right, Unsubscribe, mint_unsubscribe, signer, suppression_token
from crm.contacts.models import Address
from crm.delivery.models import Delivery, Lease, Mailing, Window
from crm.delivery.states import Lane, MailingState
from crm.installation.letters import LEFT
from crm.installation.release import NotHeld, release
from crm.installation.replay import Replayed, replay
from crm.safekeeping import handed, installation, journal, stops
from crm.safekeeping.installation import agree, verdict
from crm.safekeeping.models import Installation
from crm.safekeeping.reading import Fault, records
from crm.safekeeping.rules import Why
from devtools import binaries
from tests.architecture.test_routes import faults_of
from tests.conftest import KEYS, NOON, Time, a_copy
from tests.factories import (
    a_clinic,
    a_member_of_staff,
    a_running_mailing,
    a_willing_contact,
    an_email,
    an_event,
)
from worker import tasks

LATER = NOON + timedelta(hours=3)


@pytest.fixture
def agreed(session: Session, settings: Settings) -> Session:
    """An installation at work: two people willing, one mailing under way."""
    a_clinic(session)
    a_member_of_staff(session, "admin")
    a_willing_contact(session, email="anna@mail.example")
    a_willing_contact(session, email="boris@mail.example")
    a_running_mailing(session)
    agree(session, settings, at=NOON)
    session.commit()
    assert stops.keep(session, settings, at=NOON)
    return session


@pytest.fixture
def backup(agreed: Session, server: Engine, one_database: Engine) -> Iterator[Session]:
    """A backup made at noon, restored into a database of its own."""
    agreed.rollback()
    agreed.get_bind().engine.dispose()
    one_database.dispose()  # nobody may be in a database that is copied
    with a_copy(server, str(one_database.url.database)) as url:
        engine = create_engine(url)
        with Session(engine) as restored:
            yield restored
        engine.dispose()


def held(session: Session, settings: Settings) -> Why | None:
    found = verdict(session, settings, at=NOON)
    session.rollback()
    return found.why if found else None


def let_go(session: Session, settings: Settings) -> Replayed:
    done = replay(session, settings)
    by = session.scalars(text("SELECT min(id) FROM staff")).one()
    release(session, settings, done, by=by, because="the old one is off", at=LATER)
    session.commit()
    return done


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """The same installation with a copy of its state folder."""
    shutil.copytree(settings.state_dir, folder)
    return replace(settings, state_dir=folder)


def edited(settings: Settings, **said: object) -> None:
    path = settings.state_dir / installation.IDENTITY
    path.write_text(json.dumps(json.loads(path.read_text()) | said))


def in_place_of_the_first(backup: Session, settings: Settings) -> None:
    """As a snapshot of the disk is put back: the server cannot tell it from the one before."""
    edited(settings, database=installation.look(backup).database)
    backup.rollback()


def a_window(session: Session, settings: Settings) -> list[bytes]:
    """What a sender does before the dots of a window: a lease, and a line in the journal."""
    mailing = session.scalars(select(Mailing)).one()
    lease = Lease(lane=Lane.BULK, mailing_id=mailing.id, provider="other", taken_at=LATER)
    session.add(lease)
    session.flush()
    people = session.execute(
        select(Delivery.id, Address.value)
        .join(Address, Address.id == Delivery.address_id)
        .where(Delivery.mailing_id == mailing.id)
    ).all()
    ids = [row.id for row in people]
    window = Window(
        fence=lease.fence, mailing_id=mailing.id, delivery_ids=ids, tries=[1, 1], at=LATER
    )
    session.add(window)
    session.commit()
    tokens = [suppression_token("email", row.value or "", key=KEYS[0]) for row in people]
    journal.of(settings).handing(
        fence=lease.fence,
        window_id=window.id,
        mailing_key=mailing.key,
        last_delivery_id=max(ids),
        tokens=tokens,
        at=LATER,
    )
    session.commit()
    return tokens


def a_refusal(session: Session, settings: Settings, email: str = "anna@mail.example") -> None:
    an_event(session, Act.OPTED_OUT, an_email(session, email), at=LATER, source="link")
    session.commit()
    assert stops.keep(session, settings, at=LATER)


def refused(session: Session, email: str = "anna@mail.example") -> Reason | None:
    address = an_email(session, email)
    return refusal_now(session, address, Purpose.MARKETING, keys=KEYS, at=LATER)


def test_who_it_is_is_agreed_once_and_then_it_sends(agreed: Session, settings: Settings) -> None:
    assert held(agreed, settings) is None
    known = installation.identity(settings)
    assert known is not None
    assert known.key == agreed.get_one(Installation, 1).key.hex
    assert known.system, "an ordinary role may ask PostgreSQL for it"
    assert not agree(agreed, settings, at=LATER)
    assert (settings.state_dir / installation.IDENTITY).stat().st_mode & 0o077 == 0


def test_an_installation_of_an_earlier_version_sends_and_is_agreed(
    session: Session, settings: Settings
) -> None:
    a_willing_contact(session)
    session.commit()
    assert held(session, settings) is None
    assert agree(session, settings, at=NOON)
    session.commit()
    assert held(session, settings) is None


def test_an_unused_database_beside_an_old_folder_is_a_new_beginning(
    session: Session, settings: Settings
) -> None:
    for sequence in installation.SEQUENCES.values():  # as in a database nobody has used
        session.execute(text(f"ALTER SEQUENCE {sequence} RESTART"))
    session.commit()
    agree(session, settings, at=NOON)
    session.rollback()  # as a crash between the file and the row
    assert held(session, settings) is None
    journal.of(settings).write([{"kind": "stop", "event": 40}], at=NOON)
    assert agree(session, settings, at=NOON)
    session.commit()
    assert held(session, settings) is None
    assert installation.look(session).marks.event == 40, "numbers go on where the journal ended"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"machine": "another"}, Why.OTHER_MACHINE),
        ({"system": "1"}, Why.OTHER_DATABASE),
        ({"database": 1}, Why.OTHER_DATABASE),
        ({"epoch": 2}, Why.OTHER_COPY),
        ({"key": "0" * 32}, Why.OTHER_COPY),
        ({"system": None}, None),
    ],
)
def test_whatever_does_not_fit_holds(
    agreed: Session, settings: Settings, said: dict[str, object], why: Why | None
) -> None:
    edited(settings, **said)
    assert held(agreed, settings) is why


def test_a_lost_file_holds(agreed: Session, settings: Settings) -> None:
    (settings.state_dir / installation.IDENTITY).unlink()
    assert held(agreed, settings) is Why.FILE_LOST
    let_go(agreed, settings)
    assert held(agreed, settings) is None
    assert agreed.get_one(Installation, 1).epoch == 2


def test_a_database_from_before_the_installation_was_agreed_holds(
    agreed: Session, settings: Settings
) -> None:
    agreed.execute(text("DELETE FROM installation"))
    agreed.commit()
    assert held(agreed, settings) is Why.ROW_LOST
    let_go(agreed, settings)
    assert held(agreed, settings) is None


def test_what_is_held_stays_held_when_the_difference_goes_away(
    agreed: Session, settings: Settings
) -> None:
    edited(settings, epoch=2)
    assert held(agreed, settings) is Why.OTHER_COPY
    edited(settings, epoch=1)
    assert held(agreed, settings) is Why.OTHER_COPY


def test_a_copied_machine_is_held_and_of_two_copies_the_last_released_sends(
    agreed: Session, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = installation.machine
    copy = elsewhere(settings, tmp_path.parent / f"{tmp_path.name}-copy")

    def on_the(machine: str, its: Settings) -> Why | None:
        monkeypatch.setattr(installation, "machine", here if machine == "old" else _new)
        return held(agreed, its)

    assert on_the("new", copy) is Why.OTHER_MACHINE
    assert on_the("old", settings) is None
    on_the("new", copy)
    let_go(agreed, copy)
    assert on_the("new", copy) is None
    assert on_the("old", settings) is Why.OTHER_COPY
    let_go(agreed, settings)
    assert on_the("old", settings) is None
    assert on_the("new", copy) is Why.OTHER_COPY


def _new(_settings: Settings) -> str:
    return "new"


def test_the_state_of_a_checkout_may_travel(
    agreed: Session, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "PROJECT", settings.state_dir)
    inside = replace(settings, state_dir=settings.state_dir / "var" / "state")
    assert installation.machine(inside) == "any"
    assert installation.machine(settings) != "any"


def test_a_restored_backup_is_held_and_obeys_again_what_it_has_forgotten(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    a_refusal(agreed, settings)
    assert refused(backup) is None, "the backup does not know"
    assert held(backup, settings) is Why.OTHER_DATABASE
    assert let_go(backup, settings).stops == 1
    assert refused(backup) is Reason.OPTED_OUT
    assert held(backup, settings) is None
    assert held(agreed, settings) is Why.OTHER_COPY, "the database before it is silent now"


def test_a_snapshot_put_back_is_known_by_the_refusals_it_lacks(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    a_refusal(agreed, settings)
    in_place_of_the_first(backup, settings)
    found = verdict(backup, settings, at=LATER)
    assert found is not None
    assert found.why is Why.OLDER
    assert found.values == {"hours": 3, "leases": 0, "events": 1}
    assert "by 3 h (leases missing: 0, events of the ledger missing: 1)" in found.say % found.values


def test_a_snapshot_put_back_is_known_by_the_letters_it_lacks(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    a_window(agreed, settings)
    in_place_of_the_first(backup, settings)
    assert held(backup, settings) is Why.OLDER


def test_letters_that_left_after_the_backup_are_not_sent_again(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    tokens = a_window(agreed, settings)
    in_place_of_the_first(backup, settings)
    assert held(backup, settings) is Why.OLDER
    done = let_go(backup, settings)
    mailing = backup.scalars(select(Mailing)).one()
    assert done.letters == {mailing.id: 2}
    assert (mailing.state, mailing.held_because) == (MailingState.HELD, LEFT)
    assert handed.is_marked(backup, mailing.id)
    stranger = suppression_token("email", "new@mail.example", key=KEYS[0])
    assert handed.already_handed(backup, mailing.id, [*tokens, stranger]) == set(tokens)
    assert not handed.is_marked(backup, mailing.id + 1)


def test_a_service_letter_that_left_after_the_backup_waits_for_nobody(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    backup.execute(text("UPDATE mailings SET lane = 'service'"))
    backup.commit()
    a_window(agreed, settings)
    in_place_of_the_first(backup, settings)
    held(backup, settings)
    let_go(backup, settings)
    mailing = backup.scalars(select(Mailing)).one()
    assert mailing.state is MailingState.RUNNING
    assert handed.is_marked(backup, mailing.id), "and whoever had one gets no second"


def test_a_mailing_launched_after_the_backup_is_not_launched_again_by_itself(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    backup.execute(text("UPDATE mailings SET state = 'scheduled'"))
    backup.commit()
    a_window(agreed, settings)
    in_place_of_the_first(backup, settings)
    held(backup, settings)
    let_go(backup, settings)
    assert backup.scalars(select(Mailing.state)).one() is MailingState.OVERDUE


def test_letters_that_the_database_knows_to_have_left_are_no_news(
    agreed: Session, settings: Settings
) -> None:
    a_window(agreed, settings)
    edited(settings, machine="another")
    assert held(agreed, settings) is Why.OTHER_MACHINE
    assert not let_go(agreed, settings).letters
    assert agreed.scalars(select(Mailing.state)).one() is MailingState.RUNNING


def test_a_release_that_is_not_committed_leaves_everything_to_do(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    a_window(agreed, settings)
    in_place_of_the_first(backup, settings)
    assert held(backup, settings) is Why.OLDER
    done = replay(backup, settings)
    by = backup.scalars(text("SELECT min(id) FROM staff")).one()
    release(backup, settings, done, by=by, because="a crash follows", at=LATER)
    backup.rollback()
    assert held(backup, settings) is Why.OTHER_COPY
    assert sum(let_go(backup, settings).letters.values()) == 2
    assert held(backup, settings) is None


def test_after_a_release_no_number_is_given_out_that_the_journal_has_seen(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    a_window(agreed, settings)
    a_refusal(agreed, settings)
    known = installation.look(agreed).marks
    in_place_of_the_first(backup, settings)
    held(backup, settings)
    let_go(backup, settings)
    now = installation.look(backup).marks
    assert now.fence >= known.fence
    assert now.window >= known.window
    assert now.delivery >= known.delivery
    assert now.event >= known.event


def test_releasing_twice_does_nothing_twice(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    a_window(agreed, settings)
    a_refusal(agreed, settings)
    in_place_of_the_first(backup, settings)
    held(backup, settings)
    let_go(backup, settings)
    assert stops.keep(backup, settings, at=LATER)
    events = backup.scalar(select(func.count()).select_from(ConsentEvent))
    edited(settings, machine="another")
    held(backup, settings)
    done = let_go(backup, settings)
    assert (done.stops, done.letters) == (0, {})
    assert backup.scalar(select(func.count()).select_from(ConsentEvent)) == events


def test_a_refusal_of_an_address_that_the_backup_lacks_enters_its_stop_list(
    agreed: Session, settings: Settings, backup: Session
) -> None:
    a_willing_contact(agreed, email="vera@mail.example", at=NOON)
    a_refusal(agreed, settings, "vera@mail.example")
    held(backup, settings)
    assert let_go(backup, settings).stops == 1
    assert backup.scalars(select(Suppression.reason)).all() == [Reason.OPTED_OUT]
    a_willing_contact(backup, email="vera@mail.example", at=NOON)
    assert refused(backup, "vera@mail.example") is Reason.SUPPRESSED


def test_a_dump_restored_by_the_tools_of_postgresql_is_held(
    agreed: Session, settings: Settings, server: Engine, tmp_path: Path
) -> None:
    found = binaries.postgres()
    assert found is not None
    dump = tmp_path / "yesterday.dump"
    plain = settings.database_url.replace("+psycopg", "")
    run([found / "pg_dump", "-Fc", "-f", dump, plain])
    a_refusal(agreed, settings)
    name = f"restored_{os.getpid()}"
    with server.connect() as outside:
        outside.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
    try:
        run([found / "pg_restore", "-d", plain.rsplit("/", 1)[0] + f"/{name}", dump])
        engine = create_engine(settings.database_url.rsplit("/", 1)[0] + f"/{name}")
        with Session(engine) as restored:
            assert held(restored, settings) is Why.OTHER_DATABASE
            assert let_go(restored, settings).stops == 1
            assert refused(restored) is Reason.OPTED_OUT
        engine.dispose()
    finally:
        with server.connect() as outside:
            outside.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_released_that_is_not_held(agreed: Session, settings: Settings) -> None:
    with pytest.raises(NotHeld):
        let_go(agreed, settings)


def way_out(session: Session) -> str:
    link = Unsubscribe(
        an_email(session, "anna@mail.example").id, Purpose.MARKETING, Channel.EMAIL, 7
    )
    return "/u/" + mint_unsubscribe(signer(Right.UNSUBSCRIBE, KEYS), link)


def journalled(settings: Settings) -> list[str]:
    faults: list[Fault] = []
    return [one.said["act"] for one in records(settings, faults) if one.kind == "stop"]


def test_a_refusal_by_link_is_in_the_journal_when_it_is_answered(
    agreed: Session, settings: Settings, client: FlaskClient, time: Time
) -> None:
    time.moves_to(LATER)
    assert client.post(way_out(agreed)).status_code == 200
    assert journalled(settings) == ["opted_out"]
    assert stops.waiting(agreed) == 0


def test_a_refusal_is_answered_while_the_journal_cannot_be_written_and_follows_later(
    agreed: Session, settings: Settings, client: FlaskClient, time: Time
) -> None:
    time.moves_to(LATER)
    link = way_out(agreed)
    shutil.rmtree(settings.state_dir / "journal", ignore_errors=True)
    (settings.state_dir / "journal").symlink_to("/dev/full")
    assert client.post(link).status_code == 200
    agreed.rollback()
    assert refused(agreed) is Reason.OPTED_OUT
    assert stops.waiting(agreed) == 1
    (settings.state_dir / "journal").unlink()
    assert stops.keep(agreed, settings, at=LATER)
    assert journalled(settings) == ["opted_out"]
    assert stops.waiting(agreed) == 0


def test_the_newest_refusals_go_first_and_the_rest_follow(
    agreed: Session, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "BATCH", 2)
    for act in (Act.COMPLAINED, Act.OPTED_OUT, Act.WITHDRAWN):
        an_event(agreed, act, an_email(agreed, "boris@mail.example"), at=LATER)
    agreed.commit()
    assert stops.keep(agreed, settings, at=LATER)
    assert journalled(settings) == ["opted_out", "withdrawn"]
    assert stops.waiting(agreed) == 1
    assert stops.keep(agreed, settings, at=LATER)
    assert stops.waiting(agreed) == 0


def test_two_that_write_down_refusals_at_once_share_them(
    agreed: Session, settings: Settings
) -> None:
    for one in range(20):
        an_event(agreed, Act.OPTED_OUT, an_email(agreed, f"one{one}@mail.example"), at=LATER)
    agreed.commit()
    engine = create_engine(settings.database_url)

    def keep(_number: int) -> bool:
        with Session(engine) as own:
            return stops.keep(own, settings, at=LATER)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(keep, range(8)))
    engine.dispose()
    assert len(journalled(settings)) == 20


def test_every_act_that_stops_something_waits_for_the_journal(
    agreed: Session, settings: Settings
) -> None:
    address = an_email(agreed, "boris@mail.example")
    stopping = [act for act in Act if act not in (Act.ASKED, Act.CONFIRMED)]
    for act in stopping:
        an_event(agreed, act, address, at=LATER)
    agreed.commit()
    assert stops.waiting(agreed) == len(stopping)
    stops.keep(agreed, settings, at=LATER)
    assert journalled(settings) == [act.value for act in stopping]


def test_a_person_releases_on_the_page_and_is_named(
    agreed: Session, settings: Settings, signed_in: Callable[..., FlaskClient]
) -> None:
    admin = signed_in("admin")
    assert "/installation/release" not in admin.get("/installation").text
    edited(settings, machine="another")
    page = admin.get("/installation").text
    assert "/installation/release" in page
    assert faults_of(page) == []
    assert admin.post("/installation/release", data={"because": " "}).status_code == 422
    assert held(agreed, settings) is Why.OTHER_MACHINE
    answer = admin.post("/installation/release", data={"because": "a new server"})
    assert answer.status_code == 303
    assert held(agreed, settings) is None
    agreed.expire_all()
    row = agreed.get_one(Installation, 1)
    assert (row.epoch, row.released_because) == (2, "a new server")
    act = select(AuditEvent.actor_id).where(AuditEvent.act == "installation.released")
    assert agreed.scalars(act).one() == row.released_by
    assert "a new server" in admin.get("/installation").text
    assert admin.post("/installation/release", data={"because": "again"}).status_code == 409


def test_the_command_asks_shows_what_it_did_again_and_releases(
    agreed: Session, settings: Settings, backup: Session, app: Flask
) -> None:
    email = agreed.scalars(text("SELECT email FROM staff")).one()
    a_refusal(agreed, settings)
    edited(settings, machine="another")
    release_it = ["crm", "release", "--by", email, "--reason", "moved to a new server"]
    invoke = app.test_cli_runner().invoke
    agreed.rollback()

    asked = invoke(args=release_it, input="n\n")
    assert asked.exit_code == 1
    assert "Release it?" in asked.output
    assert held(agreed, settings) is Why.OTHER_MACHINE

    done = invoke(args=[*release_it, "--yes"])
    assert done.exit_code == 0, done.output
    assert "Refusals done again: 0." in done.output
    assert "Released: epoch 2." in done.output
    assert held(agreed, settings) is None

    again = invoke(args=[*release_it, "--yes"])
    assert again.exit_code == 1
    assert "not held" in again.output
    nobody = invoke(args=["crm", "release", "--by", "nobody@clinic.example", "--reason", "x"])
    assert nobody.exit_code == 1


def test_housekeeping_agrees_and_writes_down_what_others_stopped(
    session: Session, settings: Settings
) -> None:
    an_event(session, Act.BOUNCED, an_email(session, "gone@mail.example"), source="bounce")
    session.commit()
    tasks.safekeep()
    assert installation.identity(settings) is not None
    assert journalled(settings) == ["bounced"]
    (settings.state_dir / installation.IDENTITY).unlink()
    tasks.safekeep()
    assert (settings.state_dir / installation.HELD).exists(), "found before anything is sent"


def test_the_doctor_says_why_nothing_is_sent(
    agreed: Session, settings: Settings, app: Flask
) -> None:
    invoke = app.test_cli_runner().invoke
    assert "belongs to this database" in invoke(args=["crm", "doctor", "--offline"]).output
    edited(settings, machine="another")
    told = invoke(args=["crm", "doctor", "--offline"]).output
    assert "This is not the machine that was released" in told


def test_the_command_that_verifies_the_journal_names_the_first_fault(
    agreed: Session, settings: Settings, app: Flask
) -> None:
    a_window(agreed, settings)
    a_refusal(agreed, settings)
    invoke = app.test_cli_runner().invoke
    well = invoke(args=["crm", "journal", "verify"])
    assert well.exit_code == 0, well.output
    assert "handing: 1" in well.output
    assert "stop: 1" in well.output
    path = next(settings.state_dir.glob("journal/*/*.log"))
    path.write_bytes(path.read_bytes().replace(b"opted_out", b"confirmed"))
    unwell = invoke(args=["crm", "journal", "verify"])
    assert unwell.exit_code == 1
    assert f"{path.name}, line 3 is not what was written there" in unwell.output
