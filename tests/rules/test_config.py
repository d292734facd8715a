"""What the operator may write, and what is said where it is wrong."""

import pytest

from crm.config import BadSettings, from_environ

GOOD = {
    "DATABASE_URL": "postgresql+psycopg://crm:dbsecret@127.0.0.1/crm",
    "REDIS_URL": "redis://:brokersecret@127.0.0.1/0",
    "SMTP_URL": "smtps://user:mailsecret@relay.example",
    "PUBLIC_URL": "https://mail.clinic.example/",
    "SECRET_KEYS": "n" * 32 + "," + "o" * 32,
    "SUPPRESSION_KEYS": "s" * 32,
}


def test_good_settings_are_read() -> None:
    settings = from_environ(GOOD)
    assert settings.public_url == "https://mail.clinic.example"
    assert settings.secret_keys == ("n" * 32, "o" * 32)
    assert settings.secure


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
        ("PUBLIC_URL", "http://mail.clinic.example"),
        ("PUBLIC_URL", "mail.clinic.example"),
        ("SECRET_KEYS", "short"),
        ("SUPPRESSION_KEYS", "s" * 32 + ",short"),
        ("LOG_FORMAT", "xml"),
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
