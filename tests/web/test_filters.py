from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask_babel import force_locale

from crm import clock
from crm.web import filters

EVENING = datetime(2026, 11, 22, 22, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _page(app: Flask) -> object:
    with app.test_request_context("/p/x"):
        yield


def test_a_moment_is_told_in_the_clinic_s_zone() -> None:
    assert filters.moment(EVENING) == "23.11.2026,\u00a001:05"
    assert filters.day(EVENING) == "23.11.2026"
    assert filters.hour(EVENING) == "01:05"


def test_a_day_without_a_time_stays_that_day() -> None:
    assert filters.day(date(2026, 11, 22)) == "22.11.2026"
    assert filters.long_day(date(2026, 11, 24)) == "вторник, 24 ноября"


def test_english_readers_get_english_dates() -> None:
    with force_locale("en"):
        assert filters.day(date(2026, 11, 22)) == "22 Nov 2026"
        assert filters.long_day(date(2026, 11, 24)) == "Tuesday, 24 November"


def test_a_naive_moment_is_refused() -> None:
    naive = EVENING.replace(tzinfo=None)
    for rule in (filters.moment, filters.hour, filters.ago, filters.day):
        with pytest.raises(ValueError, match="naive"):
            rule(naive)


def test_what_is_near_is_told_by_its_distance() -> None:
    now = clock.now()

    assert filters.ago(now - timedelta(minutes=5)) == "5 минут назад"
    assert filters.ago(now + timedelta(hours=2, seconds=9)) == "через 2 часа"
    assert filters.ago(now - timedelta(days=90)) == filters.moment(now - timedelta(days=90))


@pytest.mark.parametrize(
    ("number", "shown"), [(7, "7"), (4812, "4\u00a0812"), (1234567, "1\u00a0234\u00a0567")]
)
def test_thousands_stand_apart_by_a_space_that_never_breaks(number: int, shown: str) -> None:
    assert filters.thousands(number) == shown


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ковалёва Ирина Петровна", "КИ"),
        ("анна", "А"),
        ("", "?"),
        ("   ", "?"),
        ("«Север» клиника", "К"),
        ("Нестеренко-Белова Виктория", "НВ"),
    ],
)
def test_initials_come_of_any_name(name: str, letters: str) -> None:
    assert filters.initials(name) == letters
