"""Buckets and rests on the real database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, delete, func, select
from sqlalchemy.orm import Session

from crm.delivery import pace
from crm.delivery.pacing_models import Pace, ProviderManners
from crm.delivery.rest import forget, lift, rest, resting_domains, rests, wake
from crm.delivery.speed import change_speed
from crm.delivery.states import Lane
from tests.delivery.limits import drain, later, manners, relay, take
from tests.factories import NOON, a_member_of_staff, a_running_mailing


def test_what_has_no_limit_gives_all_and_leaves_no_row_to_wait_at(session: Session) -> None:
    relay(session, 0)
    assert take(session, provider="gmail") == 64
    assert session.scalar(select(func.count()).select_from(Pace)) == 0


def test_a_bucket_holds_two_seconds_worth_and_fills_at_its_pace(session: Session) -> None:
    relay(session, 600)
    assert take(session) == 18
    assert take(session) == 0
    assert take(session, at=later(1)) == 10
    assert take(session, at=later(3600 * 5)) == 18


def test_the_narrowest_of_three_buckets_decides_and_none_loses_more(session: Session) -> None:
    relay(session, 6000)
    manners(session, "gmail", 36_000)
    mailing = a_running_mailing(session)
    mailing.per_minute = 90
    session.flush()
    assert take(session, provider="gmail", mailing_id=mailing.id) == 3
    assert take(session, provider="mailru") == 64
    assert take(session, provider="gmail") == 17


def test_another_speed_holds_from_the_next_grant(session: Session) -> None:
    relay(session, 0)
    mailing = a_running_mailing(session)
    name = f"mailing:{mailing.id}"
    assert change_speed(session, mailing, 1) is None
    assert take(session, mailing_id=mailing.id) == 1
    assert take(session, mailing_id=mailing.id, at=later(2)) == 0
    assert name in pace.dry(session, at=later(2))
    assert change_speed(session, mailing, 600) == 1
    assert name not in pace.dry(session, at=later(3))
    assert take(session, mailing_id=mailing.id, at=later(3)) == 10
    assert change_speed(session, mailing, 60) == 600
    assert take(session, mailing_id=mailing.id, at=later(3600)) == 2
    assert name in pace.dry(session, at=later(3600))
    assert change_speed(session, mailing, None) == 60
    assert name not in pace.dry(session, at=later(3600))
    assert take(session, mailing_id=mailing.id, at=later(3600)) == 64


def test_whoever_changes_a_speed_waits_for_no_sender(session: Session, database: str) -> None:
    mailing = a_running_mailing(session)
    change_speed(session, mailing, 60)
    session.commit()
    engine = create_engine(database)
    with Session(engine) as sender:
        take(sender, mailing_id=mailing.id)
        sender.commit()
        take(sender, mailing_id=mailing.id)
        session.connection().exec_driver_sql("SET lock_timeout = '300ms'")
        assert change_speed(session, mailing, 600) == 60
        session.commit()
        sender.rollback()
    engine.dispose()


def test_a_warm_up_holds_back_until_it_has_come_to_the_target(session: Session) -> None:
    relay(session, 0)
    manners(session, "yandex", 36_000)
    yandex = session.get_one(ProviderManners, "yandex")
    yandex.warm_up = True
    session.flush()
    assert take(session, provider="yandex") == 1
    assert take(session, provider="yandex", at=later(17)) == 0
    assert take(session, provider="yandex", at=later(18)) == 1


def test_service_letters_go_on_credit_and_bulk_letters_pay(session: Session) -> None:
    relay(session, 60)
    assert take(session) == 1
    assert take(session, 40, lane=Lane.SERVICE) == 40
    assert take(session, 40, lane=Lane.SERVICE) == 21
    assert take(session, lane=Lane.SERVICE) == 0
    assert take(session, at=later(59)) == 0
    assert take(session, lane=Lane.SERVICE, at=later(59)) == 59


def test_bulk_letters_leave_a_tenth_to_service_letters(session: Session) -> None:
    relay(session, 3000)
    assert take(session, 1000) == 90
    assert take(session, 5, lane=Lane.SERVICE) == 5


def test_a_service_letter_asks_neither_provider_nor_mailing(session: Session) -> None:
    relay(session, 0)
    manners(session, "gmail", 60)
    drain(session, provider="gmail")
    assert take(session, 4, provider="gmail", lane=Lane.SERVICE) == 4


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_is_set_neither_stalls_nor_bursts(session: Session, jump: int) -> None:
    relay(session, 600)
    drain(session)
    assert take(session, 1000, at=later(jump)) <= 18
    assert "relay" in pace.dry(session, at=later(jump))
    assert take(session, 1000, at=later(jump + 1)) == 10


def test_a_bucket_from_the_future_is_not_dry_so_that_a_sender_comes_to_set_it(
    session: Session,
) -> None:
    relay(session, 60)
    drain(session)
    assert pace.dry(session, at=NOON) == {"relay"}
    assert pace.dry(session, at=later(-3600)) == set()


def test_a_limit_at_one_provider_never_holds_up_another(session: Session) -> None:
    relay(session, 0)
    manners(session, "gmail", 60)
    drain(session, provider="gmail")
    assert pace.dry(session, at=NOON) == {"provider:gmail"}
    assert take(session, provider="gmail") == 0
    assert take(session, provider="mailru") == 64


def test_a_slow_mailing_holds_up_itself_only(session: Session) -> None:
    relay(session, 0)
    slow = a_running_mailing(session)
    slow.per_minute = 10
    session.flush()
    drain(session, mailing_id=slow.id)
    assert pace.dry(session, at=NOON) == {f"mailing:{slow.id}"}
    assert take(session, mailing_id=0) == 64


def test_a_destination_rests_longer_each_time_until_it_takes_a_letter(session: Session) -> None:
    at = NOON
    for minutes in (15, 60, 240, 240):
        rest(session, "provider:gmail", because="421 4.7.28", at=at)
        rest(session, "provider:gmail", because="421 again", at=at + timedelta(minutes=1))
        assert rests(session) == {"provider:gmail": at + timedelta(minutes=minutes)}
        assert take(session, provider="gmail", at=at) == 0
        assert pace.dry(session, at=at) == {"provider:gmail"}
        at += timedelta(minutes=minutes)
        assert take(session, provider="gmail", at=at) == 64
    wake(session, {"provider:gmail"}, at=at)
    assert rests(session) == {}
    rest(session, "provider:gmail", because="421", at=at)
    assert rests(session) == {"provider:gmail": at + timedelta(minutes=15)}


def test_a_letter_accepted_during_a_rest_does_not_end_it(session: Session) -> None:
    rest(session, "provider:gmail", because="421", at=NOON)
    wake(session, {"provider:gmail"}, at=later(60))
    assert take(session, provider="gmail", at=later(60)) == 0
    by = a_member_of_staff(session, "marketer").id
    assert lift(session, "provider:gmail", at=later(60), by=by)
    assert not lift(session, "provider:gmail", at=later(60), by=by)
    assert take(session, provider="gmail", at=later(60)) == 64


def test_one_domain_rests_alone_among_the_others(session: Session) -> None:
    rest(session, "domain:firm.example", because="421", at=NOON)
    assert resting_domains(session, at=NOON) == {"firm.example": later(900)}
    assert resting_domains(session, at=later(900)) == {}
    assert pace.dry(session, at=NOON) == {"domain:firm.example"}
    assert take(session) == 64


def test_a_relay_at_rest_holds_campaigns_and_lets_service_letters_try(session: Session) -> None:
    relay(session, 60)
    rest(session, "relay", because="Daily limit", at=NOON)
    assert take(session) == 0
    assert take(session, 1, lane=Lane.SERVICE) == 1
    assert "relay" in pace.dry(session, at=NOON)


def test_a_rest_from_the_future_is_over(session: Session) -> None:
    rest(session, "provider:gmail", because="421", at=NOON)
    assert take(session, provider="gmail", at=later(-3600)) == 64


def test_what_neither_rests_nor_is_limited_is_forgotten(session: Session) -> None:
    relay(session, 60)
    drain(session)
    rest(session, "domain:firm.example", because="421", at=NOON)
    forget(session, at=NOON)
    assert set(rests(session)) == {"domain:firm.example"}
    forget(session, at=NOON + timedelta(days=3))
    assert session.scalars(select(Pace.name)).all() == ["relay"]


STEPS = st.lists(
    st.tuples(
        st.floats(0, 30),
        st.sampled_from([0.0, 0.0, 0.0, 0.0, -3600.0, 3600.0]),
        st.integers(1, 100),
        st.sampled_from([Lane.BULK, Lane.BULK, Lane.SERVICE]),
    ),
    max_size=25,
)


@given(per_minute=st.integers(1, 5000), steps=STEPS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_interval_sees_more_than_the_pace_a_full_bucket_and_the_credit(
    session: Session, per_minute: int, steps: list[tuple[float, float, int, Lane]]
) -> None:
    session.execute(delete(Pace))
    relay(session, per_minute)
    brim = max(1.0, per_minute / 30)
    true, shown, taken, jumps = 0.0, 0.0, 0, 0
    for pause, jump, wanted, lane in steps:
        true, shown, jumps = true + pause, shown + pause + jump, jumps + (jump > 0)
        got = take(session, wanted, lane=lane, at=later(shown))
        taken += got
        assert 0 <= got <= wanted
        credit = per_minute if any(step[3] is Lane.SERVICE for step in steps) else 0
        # A clock that jumps ahead fills the bucket, and pays what was taken on credit.
        assert taken <= per_minute / 60 * true + (brim + credit) * (1 + jumps) + 1e-6
    # Alive: whatever was owed is paid in a minute, and then a letter goes every time there is one.
    assert take(session, at=later(shown + 121)) >= 1


@contextmanager
def connections(database: str, number: int) -> Iterator[list[Session]]:
    engine: Engine = create_engine(database, pool_size=number)
    sessions = [Session(engine) for _ in range(number)]
    yield sessions
    for one in sessions:
        one.close()
    engine.dispose()


def test_senders_that_race_share_one_bucket(session: Session, database: str) -> None:
    relay(session, 30_000)
    manners(session, "gmail", 360_000)
    session.commit()
    taken: list[int] = []

    def send(own: Session) -> None:
        for _ in range(60):
            taken.append(take(own, 7, provider="gmail"))
            own.commit()

    with connections(database, 4) as sessions:
        threads = [threading.Thread(target=send, args=(own,)) for own in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == 240
    assert sum(taken) == 200


def test_rests_and_takes_that_cross_never_wait_for_each_other_in_a_circle(
    session: Session, database: str
) -> None:
    relay(session, 600_000)
    manners(session, "gmail", 36_000_000)
    mailing = a_running_mailing(session)
    mailing.per_minute = 600_000
    session.commit()
    mailing_id = mailing.id
    session.commit()

    def send(own: Session, number: int) -> None:
        for turn in range(80):
            at = later(turn * 20_000 + number)
            if turn % 2 == number % 2:
                rest(own, "provider:gmail", because="421", at=at)
            wake(own, {"provider:gmail"}, at=at)
            take(own, 1, provider="gmail", mailing_id=mailing_id, at=at)
            if turn % 3 == number:
                rest(own, "relay", because="451", at=at)
            else:
                wake(own, {"relay"}, at=at)
            own.commit()
            done.append(turn)

    done: list[int] = []
    with connections(database, 3) as sessions:
        threads = [
            threading.Thread(target=send, args=(own, number)) for number, own in enumerate(sessions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(done) == 240


def test_senders_on_an_unlimited_relay_never_wait_for_each_other(
    session: Session, database: str
) -> None:
    relay(session, 0)
    session.commit()
    with connections(database, 2) as (first, second):
        assert take(first) == 64
        assert take(second) == 64
