"""DKIM keys as files: ``<directory>/<domain>/<selector>.pem``, readable by nobody else.

The directory lies outside the database, so that restoring one brings back no old key. A key is
prepared (``.pem.new``) until its record is seen in DNS, in use (``.pem``), then retired
(``.pem.old``); of each algorithm a domain has one in use.
"""

import base64
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from crm.mail.dkim import Signer

_BITS: Final = 2048
"""What every verifier takes, and what fits a DNS record. Source: RFC 8301 3.2."""
_SELECTOR: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class State(StrEnum):
    """How far a key is, by the end of its file's name."""

    PREPARED = "pem.new"
    IN_USE = "pem"
    RETIRED = "pem.old"


class KeyFault(ValueError):  # noqa: N818 - the fault is in the file or in the name
    """A key cannot be made, read or used. The message names it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A key and how far it is."""

    signer: Signer
    state: State


def load_signers(directory: Path, domain: str) -> list[Signer]:
    """Return the keys in use for a domain; none where it does not sign. Cheap to ask again.

    Raises:
        KeyFault: a key that cannot be read; letters must not go unsigned for that.

    """
    return [one.signer for one in stored(directory, domain) if one.state is State.IN_USE]


def stored(directory: Path, domain: str) -> list[Stored]:
    """Return all keys of a domain, by selector.

    Raises:
        KeyFault: a key that cannot be read.

    """
    found = sorted((directory / domain).glob("*.pem*"))
    return [
        Stored(_read(path, path.stat().st_mtime_ns), State(path.name.partition(".")[2]))
        for path in found
        if path.name.partition(".")[2] in set(State)
    ]


def prepare(directory: Path, domain: str, selector: str, *, ed25519: bool = False) -> Signer:
    """Make a key with which nothing signs yet.

    Raises:
        KeyFault: the selector is taken, or is not one.

    """
    if not _SELECTOR.fullmatch(selector):
        raise KeyFault(f"{selector}: a selector has small letters, digits and hyphens")
    if any(one.signer.selector == selector for one in stored(directory, domain)):
        raise KeyFault(f"{domain} has a key {selector} already")
    key = Ed25519PrivateKey.generate() if ed25519 else generate_private_key(65537, _BITS)
    signer = Signer(domain, selector, key)
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / domain).mkdir(mode=0o700, exist_ok=True)
    path = _path(directory, signer, State.PREPARED)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return signer


def use(directory: Path, one: Stored) -> None:
    """Put a key into use, then retire those of its algorithm that were."""
    new = one.signer
    _path(directory, new, one.state).rename(_path(directory, new, State.IN_USE))
    for old in load_signers(directory, new.domain):
        if old.algorithm == new.algorithm and old.selector != new.selector:
            in_use = _path(directory, old, State.IN_USE)
            in_use.rename(_path(directory, old, State.RETIRED))


def record(signer: Signer) -> str:
    """Return the text of the DNS record that publishes a key. Source: RFC 6376 3.6.1."""
    public = signer.key.public_key()
    if isinstance(public, RSAPublicKey):
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        octets = public.public_bytes_raw()
    return f"v=DKIM1; k={signer.algorithm}; p={base64.b64encode(octets).decode()}"


def _path(directory: Path, signer: Signer, state: State) -> Path:
    return directory / signer.domain / f"{signer.selector}.{state}"


@lru_cache(maxsize=32)
def _read(path: Path, _changed_ns: int) -> Signer:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise KeyFault(f"{path}: cannot be read as a key") from error
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise KeyFault(f"{path}: is neither an RSA nor an Ed25519 key")
    return Signer(path.parent.name, path.name.partition(".")[0], key)
