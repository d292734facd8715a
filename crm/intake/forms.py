"""From the bytes of a POST to typed values, or to one sentence per field.

Three ways in (urlencoded, multipart, JSON) become the same pairs of names and texts. Nothing here
looks at the database; which version of a text is in force is asked afterwards.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Request
from flask_babel import gettext, lazy_gettext
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from crm.contacts.rules import Name
from crm.contacts.typed import read_name
from crm.errors import Invalid
from crm.intake import rules
from crm.intake.rules import Filled
from crm.mail.addresses import Domains, Email, Phone, read_email, read_phone

JSON: Final = "application/json"
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
LARGEST_ID: Final = 2**31 - 1

NO_FIRST_NAME = lazy_gettext("Say how to address you: type your first name.")
NO_ADDRESS = lazy_gettext("Type an e-mail address or a phone number, so that we can answer.")
NO_EMAIL_FOR_LETTERS = lazy_gettext(
    "Letters need an e-mail address. Type it, or leave the box about letters empty."
)
NO_PROCESSING = lazy_gettext(
    "Without this consent we may not keep your request, so we cannot answer it."
)
UNKNOWN = lazy_gettext("This form has no such field.")
TWICE = lazy_gettext("This field came more than once.")
NOT_TEXT = lazy_gettext("This field must be text.")
NOT_A_VERSION = lazy_gettext("This box must hold the number of the text that was shown.")
NOT_READABLE = lazy_gettext(
    "There are characters here that cannot be read. Type it anew; programs must send UTF-8."
)
WRONG_TYPE = lazy_gettext("Send a form or JSON, in UTF-8.")
NOT_JSON = lazy_gettext("This is not a JSON object in UTF-8.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What came, sorted but not yet read. All of it is kept for showing it again."""

    values: dict[str, str]
    """By field; one that did not come is empty."""
    boxes: dict[str, str]
    """By text key, only those that were ticked."""
    trap: str
    stamp: str
    faults: dict[str, str]


@dataclass(slots=True)
class _Reader:
    errors: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, typed: str, how: Callable[[str], Any]) -> Any:
        """Return what ``how`` makes of the text; None where it is empty or faulty."""
        if not typed.strip():
            return None
        if rules.unreadable(typed):
            self.errors[name] = str(NOT_READABLE)
            return None
        try:
            return how(typed)
        except Invalid as fault:
            self.errors[name] = gettext(fault.say)
            return None


def pairs(request: Request) -> list[tuple[str, Any]]:
    """Return names and values as they came, files as non-texts.

    Raises:
        UnsupportedMediaType: neither a form nor JSON, or not in UTF-8.
        BadRequest: not a JSON object.

    """
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype not in (*FORMS, JSON) or charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType(str(WRONG_TYPE))
    if request.mimetype == JSON:
        return _json_pairs(request.get_data())
    return [*request.form.items(multi=True), *request.files.items(multi=True)]


def _json_pairs(body: bytes) -> list[tuple[str, Any]]:
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_Object)
    except (ValueError, RecursionError) as fault:
        raise BadRequest(str(NOT_JSON)) from fault
    if not isinstance(found, _Object):
        raise BadRequest(str(NOT_JSON))
    return [(name, _plain(name, value)) for name, value in found if value is not None]


class _Object(list[tuple[str, Any]]):
    """A JSON object with every pair that it has, so that a name given twice is seen."""


def _plain(name: str, value: Any) -> Any:
    is_id = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_id and name.startswith(rules.BOX) else value


def sort_out(came: Iterable[tuple[str, Any]], text_keys: Iterable[str]) -> Given:
    """Return what came under the names it may come under, and a fault for every other name."""
    boxes = {rules.BOX + key: key for key in text_keys}
    known = {*rules.FIELDS, *rules.DEFENCE, *boxes}
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, value in came:
        if len(faults) == rules.MOST_FAULTS:
            break
        if name not in known:
            faults[_shown(name)] = str(UNKNOWN)
        elif not isinstance(value, str):
            faults[name] = str(NOT_TEXT)
        elif name in values:
            faults[name] = str(TWICE)
        else:
            values[name] = value
    return Given(
        values={name: values.get(name, "") for name in rules.FIELDS},
        boxes={key: values[name] for name, key in boxes.items() if values.get(name, "").strip()},
        trap=values.get("_hp", ""),
        stamp=values.get("_t", ""),
        faults=faults,
    )


def _shown(name: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in name[:40])


def read(given: Given, *, domains: Domains) -> Filled | dict[str, str]:
    """Return the form as typed values, or a sentence for each field that must be corrected."""
    reader = _Reader(errors=dict(given.faults))
    value = given.values
    name = Name(
        last=reader.read("last_name", value["last_name"], read_name) or "",
        first=reader.read("first_name", value["first_name"], read_name) or "",
        patronymic=reader.read("patronymic", value["patronymic"], read_name) or "",
    )
    email = reader.read("email", value["email"], lambda text: _email(text, domains))
    phone = reader.read("phone", value["phone"], _phone)
    message = reader.read("message", value["message"], rules.read_message) or ""
    ticked = {key: _version(reader, key, text) for key, text in given.boxes.items()}
    _require(reader.errors, name, value, ticked)
    if reader.errors:
        return reader.errors
    return Filled(
        name=name,
        email=email,
        phone=phone,
        message=message,
        typed={"email": value["email"].strip(), "phone": value["phone"].strip()},
        ticked=ticked,
    )


def _email(text: str, domains: Domains) -> Email:
    if rules.smuggles(text):
        raise Invalid(say="This is not a complete e-mail address, such as anna@clinic.example.")
    return read_email(text, domains=domains)


def _phone(text: str) -> Phone:
    if rules.smuggles(text) or len(text) > rules.LONGEST_PHONE:
        raise Invalid(say="This is not a phone number. Type it with its area code.")
    return read_phone(text)


def _version(reader: _Reader, key: str, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= LARGEST_ID):
        reader.errors.setdefault(rules.BOX + key, str(NOT_A_VERSION))
        return 0
    return int(text)


def _require(
    errors: dict[str, str], name: Name, value: dict[str, str], ticked: dict[str, int]
) -> None:
    if not name.first:
        errors.setdefault("first_name", str(NO_FIRST_NAME))
    if not value["email"].strip() and not value["phone"].strip():
        errors.setdefault("email", str(NO_ADDRESS))
    if rules.PROCESSING not in ticked:
        errors.setdefault(rules.BOX + rules.PROCESSING, str(NO_PROCESSING))
