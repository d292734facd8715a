"""Where letters are handed in, read from SMTP_URL."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SUBMISSION_PORT = 587
OURS, ANOTHERS, FEWEST, MOST = 64, 20, 2, 200
"""Connections: to a relay on this machine, to another; at least, one for each sender; at most."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A mail server that takes our letters, and how it is spoken to.

    `starttls` means required: without it the connection is given up before anything is said.
    The name and the password of the sign-in do not show in the repr.
    """

    host: str
    port: int
    implicit_tls: bool = False
    starttls: bool = True
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    connections: int = field(default=OURS, compare=False)
    """The most that bulk letters may take at once, all senders together."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read `smtp://` or `smtps://user:password@host:port?starttls=required|never&connections=n`.

        STARTTLS is required unless the URL says never or the host is this machine. The port is
        465 for smtps, 587 for smtp with a user, 25 without. Without a number, our own machine
        takes 64 connections, another 20.

        Raises: ValueError with a sentence that never holds the password.
        """
        parts, port = _split(url)
        implicit = parts.scheme == "smtps"
        host = _host(parts)
        starttls, connections = _options(parts.query)
        is_ours = _is_loopback(host)
        username, password = _sign_in(parts)
        fallback = 465 if implicit else SUBMISSION_PORT if username else 25
        return cls(
            host=host,
            port=port or fallback,
            implicit_tls=implicit,
            starttls=not implicit and (not is_ours if starttls is None else starttls),
            username=username,
            password=password,
            connections=connections or (OURS if is_ours else ANOTHERS),
        )


def _split(url: str) -> tuple[SplitResult, int | None]:
    parts, port = None, None
    if url.isprintable() and " " not in url:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # its words quote the URL, and with it the password
            parts = None
    if parts is None or port == 0 or parts.fragment or parts.path not in ("", "/"):
        raise ValueError(
            "SMTP_URL cannot be read: write smtp://user:password@host:port and percent-encode "
            "special characters in the user and the password."
        )
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError("SMTP_URL must begin with smtp:// or smtps://.")
    return parts, port


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_host = ""
    if not ascii_host or "%" in ascii_host:
        raise ValueError("SMTP_URL names no usable host.")
    return ascii_host


def _options(query: str) -> tuple[bool | None, int | None]:
    options = parse_qs(query, keep_blank_values=True)
    tls, lines = options.pop("starttls", []), options.pop("connections", [])
    if options or len(tls) > 1 or any(value not in ("required", "never") for value in tls):
        raise ValueError(
            "SMTP_URL knows two options: starttls=required or starttls=never, and connections=n."
        )
    if len(lines) > 1 or any(not _is_number_of_lines(value) for value in lines):
        raise ValueError(f"SMTP_URL can have connections={FEWEST} to connections={MOST}.")
    return tls[0] == "required" if tls else None, int(lines[0]) if lines else None


def _is_number_of_lines(value: str) -> bool:
    return value.isascii() and value.isdecimal() and FEWEST <= int(value[:9]) <= MOST


def _sign_in(parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None and parts.password is None:
        return None, None
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not username or not password:
        raise ValueError("SMTP_URL needs both a user and a password, or neither.")
    if "\0" in username + password:
        raise ValueError("SMTP_URL holds a NUL character in the user or the password.")
    return username, password


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
