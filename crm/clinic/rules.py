"""Russian registration numbers, host names, addresses of sites. Pure."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from crm.errors import Invalid, later

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})
LONGEST_HOST: Final = 253

NOT_AN_INN: Final = later("An INN has 10 digits, or 12 for a sole proprietor.")
WRONG_INN: Final = later("A digit of this INN is mistyped: its check digit does not fit.")
NOT_AN_OGRN: Final = later("An OGRN has 13 digits, or 15 for a sole proprietor.")
WRONG_OGRN: Final = later("A digit of this OGRN is mistyped: its check digit does not fit.")
NOT_A_SITE: Final = later("Type the whole address of the site, such as https://clinic.example.")
NOT_AN_ORIGIN: Final = later(
    "Type the beginning of the address only, such as https://clinic.example."
)
NEEDS_TLS: Final = later("The address must begin with https://.")
NOT_A_PHONE: Final = later("This is not a phone number. Type it with its area code.")

_WEIGHTS: Final = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()\u00a0-]*(, ?[0-9]+)?")


def read_inn(typed: str) -> str:
    """Return the taxpayer's number, or an empty string where nothing was typed.

    Raises:
        Invalid: not 10 or 12 digits, or a check digit that does not fit.

    >>> read_inn("78 9901 2340")
    '7899012340'
    """
    digits = "".join(typed.split())
    if not digits:
        return ""
    if not _is_number(digits) or len(digits) not in (10, 12):
        raise Invalid(say=NOT_AN_INN)
    checked = (9,) if len(digits) == 10 else (10, 11)
    if any(_check_digit(digits[:place]) != int(digits[place]) for place in checked):
        raise Invalid(say=WRONG_INN)
    return digits


def read_ogrn(typed: str) -> str:
    """Return the state registration number, or an empty string where nothing was typed.

    Raises:
        Invalid: not 13 or 15 digits, or a check digit that does not fit.

    """
    digits = "".join(typed.split())
    if not digits:
        return ""
    if not _is_number(digits) or len(digits) not in (13, 15):
        raise Invalid(say=NOT_AN_OGRN)
    body, last = int(digits[:-1]), int(digits[-1])
    if body % (len(digits) - 2) % 10 != last:
        raise Invalid(say=WRONG_OGRN)
    return digits


def read_phone_as_shown(typed: str) -> str:
    """Return a phone number as it will be shown, or an empty string.

    Raises:
        Invalid: letters, or too few or too many digits for a number.

    """
    text = " ".join(typed.split(" ")).strip()
    if not text:
        return ""
    digits = sum(sign.isdigit() for sign in text)
    if not _PHONE.fullmatch(text) or not 5 <= digits <= 20 or len(text) > 32:
        raise Invalid(say=NOT_A_PHONE)
    return text


def read_site(typed: str) -> str:
    """Return the address of a site, host in ASCII, or an empty string.

    Raises:
        Invalid: no host, or neither https nor a loopback host.

    """
    if not typed.strip():
        return ""
    scheme, host, port, rest = _parts(typed.strip(), NOT_A_SITE)
    return f"{scheme}://{host}{port}{rest}".rstrip("/")


def read_origin(typed: str) -> str:
    """Return an origin as browsers send it: ``https://host[:port]``.

    Raises:
        Invalid: more than an origin, no host, or http beyond this machine.

    >>> read_origin("HTTPS://Клиника.example:443/")
    'https://xn--80apagcdp.example'
    """
    scheme, host, port, rest = _parts(typed.strip(), NOT_AN_ORIGIN)
    if rest.strip("/"):
        raise Invalid(say=NOT_AN_ORIGIN)
    return f"{scheme}://{host}{port}"


def _parts(text: str, fault: str) -> tuple[str, str, str, str]:
    if not text.isprintable() or any(sign in text for sign in " \\<>\"';,*@"):
        raise Invalid(say=fault)
    try:
        parts = urlsplit(text)
        number = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError as error:
        raise Invalid(say=fault) from error
    if parts.scheme not in {"http", "https"} or not _is_host(host) or number == 0:
        raise Invalid(say=fault)
    if parts.scheme == "http" and host not in LOOPBACK:
        raise Invalid(say=NEEDS_TLS)
    usual = {"https": 443, "http": 80}[parts.scheme]
    port = f":{number}" if number and number != usual else ""
    rest = parts.path + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port, rest


def _is_host(host: str) -> bool:
    labels = host.split(".")
    fits = 0 < len(host) <= LONGEST_HOST and all(_LABEL.fullmatch(label) for label in labels)
    return fits and (len(labels) > 1 or host in LOOPBACK)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _check_digit(before: Sequence[str]) -> int:
    weights = _WEIGHTS[len(_WEIGHTS) - len(before) :]
    return sum(w * int(digit) for w, digit in zip(weights, before, strict=True)) % 11 % 10
