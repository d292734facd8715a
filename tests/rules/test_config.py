"""What the operator may write, and what is said where it is wrong."""

from pathlib import Path

import pytest

from crm import config
from crm.config import BadSettings, from_environ

GOOD = {
    "DATABASE_URL": "postgresql+psycopg://crm:dbsecret@127.0.0.1/crm",
    "REDIS_URL": "redis://:brokersecret@127.0.0.1/0",
    "SMTP_URL": "smtps://user:mailsecret@relay.example",
    "PUBLIC_URL": "https://mail.clinic.example/",
    "SECRET_KEYS": "n" * 32 + "," + "o" * 32,
    "SUPPRESSION_KEYS": "s" * 32,
    "STATE_DIR": "/tmp",  # noqa: S108 - a folder that there is; nothing is written
}


def test_good_settings_are_read() -> None:
    settings = from_environ(GOOD)
    assert settings.public_url == "https://mail.clinic.example"
    assert settings.secret_keys == ("n" * 32, "o" * 32)
    assert settings.secure


def test_without_a_token_metrics_are_for_this_machine_alone() -> None:
    assert from_environ(GOOD).metrics_token == ""
    assert from_environ(GOOD | {"METRICS_TOKEN": "t" * 32}).metrics_token == "t" * 32


def test_several_relays_are_read_in_order_of_preference() -> None:
    settings = from_environ(GOOD | {"SMTP_URL": "smtps://one.example\n  smtp://two.example:25 "})
    assert settings.relay_urls == ("smtps://one.example", "smtp://two.example:25")


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(BadSettings, match=name):
        from_environ({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite:///crm.db"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("SMTP_URL", "relay.example"),
        ("SMTP_URL", "smtp://relay.example http://relay.example"),
        ("PUBLIC_URL", "http://mail.clinic.example"),
        ("PUBLIC_URL", "mail.clinic.example"),
        ("SECRET_KEYS", "short"),
        ("SUPPRESSION_KEYS", "s" * 32 + ",short"),
        ("METRICS_TOKEN", "short"),
        ("LOG_FORMAT", "xml"),
        ("STATE_DIR", "state"),
        ("STATE_DIR", "/dev/null"),
        ("STATE_DIR", "/dev/null/state"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=name) as refused:
        from_environ(GOOD | {name: value})
    assert value not in str(refused.value)


def test_http_is_taken_for_this_machine_only_and_cookies_then_lack_secure() -> None:
    settings = from_environ(GOOD | {"PUBLIC_URL": "http://127.0.0.1:8000"})
    assert not settings.secure


def test_no_secret_shows_in_the_repr() -> None:
    shown = repr(from_environ(GOOD))
    for secret in ("dbsecret", "brokersecret", "mailsecret", "n" * 32, "s" * 32):
        assert secret not in shown


def test_the_folder_of_the_state_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "disk" / "state"
    assert from_environ(GOOD | {"STATE_DIR": str(folder)}).state_dir == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_on_this_machine_each_database_has_a_state_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "PROJECT", tmp_path)
    here = GOOD | {"STATE_DIR": "", "PUBLIC_URL": "http://127.0.0.1:8000"}
    one = from_environ(here).state_dir
    other = from_environ(here | {"DATABASE_URL": GOOD["DATABASE_URL"] + "2"}).state_dir
    assert one.parent == other.parent == tmp_path / "var" / "state"
    assert one != other
    assert from_environ(here).state_dir == one
