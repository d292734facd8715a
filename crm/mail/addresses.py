"""E-mail addresses and phone numbers as typed by people, and the one form they are known by."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, get_args

import phonenumbers
from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from crm.errors import Invalid, later

Provider = Literal["gmail", "mailru", "yandex", "microsoft", "other"]
PROVIDERS: Final[tuple[Provider, ...]] = get_args(Provider)


class AddressFault(Invalid):
    """What was typed is not an address or a number; ``say`` tells what to correct."""


class Domains(StrEnum):
    """Which domains may be typed."""

    PUBLIC = "public"
    WITH_TEST = "with_test"
    """``.test`` too, which never reaches anybody: the demo clinic and tests."""


@dataclass(frozen=True, slots=True)
class Email:
    """One mailbox."""

    value: str
    """Lower-cased ASCII, the domain in A-labels: the key to store, compare, suppress and mail."""
    display: str
    """As a person reads it: the domain in its own letters. To show, never to compare."""

    @property
    def domain(self) -> str:
        return self.value.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Phone:
    """One subscriber's number."""

    value: str
    """E.164, such as ``+79161234567``: the key. An extension is not part of it."""
    display: str
    """International notation with blanks, and the extension if one was typed."""


_LONGEST_TYPED: Final = 320
_BLANKS: Final = " \t\u00a0"
_SCRIPTS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK"})

_NOTHING_TYPED = later("Type an e-mail address.")
_NOT_AN_EMAIL = later("This is not a complete e-mail address, such as anna@clinic.example.")
_NOT_LATIN = later("Before the @ only Latin letters, digits and signs are possible.")
_MIXED_LETTERS = later("After the @ Latin letters are mixed with letters of another alphabet.")
_NO_PHONE_TYPED = later("Type a phone number.")
_NOT_A_PHONE = later("This is not a phone number. Type it with its area code.")


def read_email(typed: str, *, domains: Domains = Domains.PUBLIC) -> Email:
    """Return the mailbox that was typed; syntax only, no DNS is asked.

    ``.example`` is always possible (RFC 6761 tells applications not to treat it as special),
    ``.test`` with ``Domains.WITH_TEST``; ``localhost``, ``.local``, ``.invalid`` never. Local
    parts are ASCII (no SMTPUTF8), so Cyrillic look-alikes do not pass for Latin letters; a domain
    label that mixes alphabets is refused.

    Raises:
        AddressFault: it is not one bare address; control characters and line breaks included.

    """
    text = typed.strip(_BLANKS)
    if not text:
        raise AddressFault(say=_NOTHING_TYPED)
    if len(text) > _LONGEST_TYPED or not text.isprintable():
        raise AddressFault(say=_NOT_AN_EMAIL)
    if not text.rpartition("@")[0].isascii():
        raise AddressFault(say=_NOT_LATIN)
    found = _validated(text, domains)
    if any(_mixes_alphabets(label) for label in found.domain.split(".")):
        raise AddressFault(say=_MIXED_LETTERS)
    if found.ascii_email is None or "." not in found.ascii_domain:
        raise AddressFault(say=_NOT_AN_EMAIL)
    return Email(value=found.ascii_email.lower(), display=found.normalized)


def _validated(text: str, domains: Domains) -> ValidatedEmail:
    try:
        return validate_email(
            text,
            allow_smtputf8=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=True,
            check_deliverability=False,
            globally_deliverable=True,
            test_environment=domains is Domains.WITH_TEST,
        )
    except EmailNotValidError as fault:
        raise AddressFault(say=_NOT_AN_EMAIL) from fault


def _mixes_alphabets(label: str) -> bool:
    names = {unicodedata.name(letter, "").partition(" ")[0] for letter in label}
    return len(names & _SCRIPTS) > 1


def read_phone(typed: str, region: str = "RU") -> Phone:
    """Return the number that was typed; without ``+`` it is read as dialled inside ``region``.

    Raises:
        AddressFault: no such number can exist in that country's numbering plan.

    """
    text = typed.strip(_BLANKS)
    if not text:
        raise AddressFault(say=_NO_PHONE_TYPED)
    if len(text) > _LONGEST_TYPED or not text.isprintable():
        raise AddressFault(say=_NOT_A_PHONE)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as fault:
        raise AddressFault(say=_NOT_A_PHONE) from fault
    if not phonenumbers.is_valid_number(number):
        raise AddressFault(say=_NOT_A_PHONE)
    form = phonenumbers.PhoneNumberFormat
    return Phone(
        value=phonenumbers.format_number(number, form.E164),
        display=phonenumbers.format_number(number, form.INTERNATIONAL),
    )


_PROVIDERS: Final[dict[Provider, frozenset[str]]] = {
    "gmail": frozenset({"gmail.com", "googlemail.com"}),
    "mailru": frozenset({"mail.ru", "bk.ru", "inbox.ru", "list.ru", "internet.ru", "xmail.ru"}),
    "yandex": frozenset(
        {"yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.uz", "narod.ru"}
    ),
    "microsoft": frozenset({"outlook.com", "hotmail.com", "live.com", "live.ru", "msn.com"}),
}
_BY_DOMAIN: Final = {
    domain: provider for provider, domains in _PROVIDERS.items() for domain in domains
}


def provider_of(domain: str) -> Provider:
    """Return whose servers take the mail of ``domain``, as far as its name tells.

    A firm's own domain hosted at a provider is ``other``: knowing better needs DNS.
    """
    return _BY_DOMAIN.get(domain.lower(), "other")


def mask(email: str) -> str:
    """Return the address as a stranger may see it, such as ``a***@mail.ru``.

    The domain stays: never use it where the domain alone would tell who it is (logs).
    """
    local, _, domain = email.rpartition("@")
    return re.sub(r"(?s)^(.).*$", r"\1***", local) + "@" + domain
