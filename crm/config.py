"""Settings: read from the environment once, at start, into one frozen value."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PROJECT = Path(__file__).resolve().parents[1]
MIN_KEY_LENGTH = 32


class BadSettings(Exception):  # noqa: N818 - it is what the operator wrote, not a fault of ours
    """A variable is missing or wrong. The message names it and never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the operator chooses outside the database. Secrets stay out of reprs."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    smtp_url: str = field(repr=False)
    """One URL, or several separated by blanks, the preferred first: see ``relay_urls``."""
    public_url: str
    """Where recipients reach us, without a trailing slash; http only for a loopback host."""
    secret_keys: tuple[str, ...] = field(repr=False)
    """Newest first; older ones still verify links in letters already sent."""
    suppression_keys: tuple[str, ...] = field(repr=False)
    """Newest first; older ones still find suppressions written under them."""
    state_dir: Path
    """What must outlive the database: the epoch and the journal. Best on a disk of its own."""
    metrics_token: str = field(default="", repr=False)
    """What opens ``/metrics`` from another machine; empty: nothing does."""
    log_format: str = "text"
    testing: bool = False

    @property
    def relay_urls(self) -> tuple[str, ...]:
        """Return the mail relays in order of preference, at least one."""
        return tuple(self.smtp_url.split())

    @property
    def secure(self) -> bool:
        """Return whether recipients and staff reach us over TLS, so that cookies may be Secure."""
        return self.public_url.startswith("https://")

    @property
    def public_host(self) -> str:
        """Return the host recipients know us by: the right-hand side of our Message-IDs."""
        return urlsplit(self.public_url).hostname or "localhost"


def from_environ(env: Mapping[str, str] | None = None) -> Settings:
    """Build the settings from the environment.

    Raises:
        BadSettings: a variable is missing or wrong; its name is in the message.

    """
    env = os.environ if env is None else env
    return Settings(
        database_url=_url(env, "DATABASE_URL", {"postgresql+psycopg"}),
        redis_url=_url(env, "REDIS_URL", {"redis", "rediss", "unix"}),
        smtp_url=_relays(env),
        public_url=_public_url(env),
        secret_keys=_keys(env, "SECRET_KEYS"),
        suppression_keys=_keys(env, "SUPPRESSION_KEYS"),
        state_dir=_state_dir(env),
        metrics_token=_token(env, "METRICS_TOKEN"),
        log_format=_one_of(env.get("LOG_FORMAT", "text"), "LOG_FORMAT", {"json", "text"}),
    )


def _need(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise BadSettings(f"{name} is not set")
    return value


def _one_of(value: str, name: str, allowed: set[str]) -> str:
    if value not in allowed:
        raise BadSettings(f"{name} must be one of: {', '.join(sorted(allowed))}")
    return value


def _url(env: Mapping[str, str], name: str, schemes: set[str]) -> str:
    value = _need(env, name)
    if urlsplit(value).scheme not in schemes:
        raise BadSettings(f"{name} must begin with {' or '.join(sorted(schemes))}://")
    return value


def _relays(env: Mapping[str, str]) -> str:
    value = _need(env, "SMTP_URL")
    if any(urlsplit(url).scheme not in {"smtp", "smtps"} for url in value.split()):
        raise BadSettings("each URL in SMTP_URL must begin with smtp:// or smtps://")
    return value


def _public_url(env: Mapping[str, str]) -> str:
    value = _need(env, "PUBLIC_URL").rstrip("/")
    parts = urlsplit(value)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return value
    raise BadSettings("PUBLIC_URL must be https://, or http:// on a loopback host")


def _state_dir(env: Mapping[str, str]) -> Path:
    """Return a folder that exists, is ours to write in and, when made here, nobody else's."""
    value = env.get("STATE_DIR", "").strip()
    folder = Path(value) if value else _state_of_a_trial(env)
    if not folder.is_absolute():
        raise BadSettings("STATE_DIR must be an absolute path")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise BadSettings("STATE_DIR is not a folder and cannot be made one") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise BadSettings("STATE_DIR must be a folder that this user may read and write")
    return folder


def _state_of_a_trial(env: Mapping[str, str]) -> Path:
    """Return a place under ``var/``, one for each database, so that trials do not mix."""
    if urlsplit(_public_url(env)).hostname not in LOOPBACK:
        raise BadSettings("STATE_DIR is not set: name a folder on another disk than the database")
    database = urlsplit(_need(env, "DATABASE_URL"))
    place = f"{database.hostname}:{database.port}{database.path}?{database.query}"
    return PROJECT / "var" / "state" / hashlib.sha256(place.encode()).hexdigest()[:12]


def _token(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if value and len(value) < MIN_KEY_LENGTH:
        raise BadSettings(f"{name} must have at least {MIN_KEY_LENGTH} characters, or be empty")
    return value


def _keys(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in _need(env, name).split(",") if key.strip())
    if any(len(key) < MIN_KEY_LENGTH for key in keys):
        raise BadSettings(f"each key in {name} must have at least {MIN_KEY_LENGTH} characters")
    return keys
