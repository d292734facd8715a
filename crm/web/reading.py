"""What forms of the staff have in common: typed text is read into a value, or refused.

``Form`` takes form posts only. ``Read(reader)`` is the validator; the readers are pure and raise
``Invalid`` with a sentence.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import request
from flask_babel import gettext
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field
from wtforms.fields import choices
from wtforms.validators import StopValidation

from crm.errors import Invalid, later

EMPTY: Final = later("Fill this in.")
NOT_READABLE: Final = later("There are characters here that cannot be read. Type it anew.")
NOT_PLAIN: Final = later("Only plain text can stand here: leave out tags such as <b>.")
ONE_LINE: Final = later("This must stand in one line.")
NOT_A_NUMBER: Final = later("Type a whole number, in digits only.")

_BLANKS: Final = re.compile("[ \t\u00a0\u202f]+")
_TAG: Final = re.compile(r"<\s*[/!?]?\s*[a-zA-Z]")
_ENCODED_WORD: Final = re.compile(r"=\?[\w-]+\?[bq]\?", re.IGNORECASE | re.ASCII)
_MOST_DIGITS: Final = 12


class Form(FlaskForm):  # type: ignore[misc]  # flask_wtf has no types
    """A form that reads what a browser's form posts, and never a JSON body."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def wrap_formdata(self, form: Any, formdata: Any) -> MultiDict[str, str] | None:
            """Return the posted fields; None on GET, so that the given object's values show.

            What the caller of the form names as ``formdata`` is taken as it is.
            """
            if formdata is None or isinstance(formdata, MultiDict):
                return formdata
            return request.form if request.method == "POST" else None


class Read:
    """A validator that puts what ``reader`` makes of the typed text into ``field.data``.

    Where the reader refuses, ``field.data`` stays as typed and the sentence is the field's error.
    A field that did not come is read as empty, whatever the object that the form shows has there.
    """

    def __init__(self, reader: Callable[[str], Any]) -> None:
        self.reader = reader

    def __call__(self, form: Any, field: Field) -> None:
        try:
            field.data = self.reader(next(iter(field.raw_data or ()), ""))
        except Invalid as fault:
            raise StopValidation(gettext(fault.say, **fault_values(fault))) from fault


def options(pairs: Iterable[tuple[str, Any]]) -> list[Any]:
    """Return the choices of a select field from pairs of value and label."""
    choice = choices.SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
    return [choice(value, label) for value, label in pairs]


class OutOfBounds(Invalid):
    """A text too long or a number too large; ``least`` and ``most`` stand in the sentence."""

    def __init__(self, say: str, *, most: int, least: int = 0) -> None:
        super().__init__(say=say)
        self.least, self.most = least, most


def fault_values(fault: Invalid) -> dict[str, int]:
    """Return what the placeholders of the refusal's sentence stand for."""
    return {"least": fault.least, "most": fault.most} if isinstance(fault, OutOfBounds) else {}


def line(most: int) -> Callable[[str], str]:
    """Return a reader of one line of plain text, not empty, of ``most`` characters at most."""

    def read(typed: str) -> str:
        found = maybe_line(most)(typed)
        if not found:
            raise Invalid(say=EMPTY)
        return found

    return read


def maybe_line(most: int) -> Callable[[str], str]:
    """Return a reader of one line of plain text that may be left empty."""

    def read(typed: str) -> str:
        text = _BLANKS.sub(" ", unicodedata.normalize("NFC", typed)).strip(" ")
        if "\n" in text or "\r" in text:
            raise Invalid(say=ONE_LINE)
        return _plain(text, most)

    return read


def paragraphs(most: int) -> Callable[[str], str]:
    """Return a reader of plain text with line breaks, not empty."""

    def read(typed: str) -> str:
        text = unicodedata.normalize("NFC", typed.replace("\r\n", "\n").replace("\t", " ")).strip()
        if not text:
            raise Invalid(say=EMPTY)
        return _plain(text, most)

    return read


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of a whole number within the bounds; blanks between digits are dropped."""

    def read(typed: str) -> int:
        digits = _BLANKS.sub("", str(typed))
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
            raise Invalid(say=NOT_A_NUMBER)
        if not least <= int(digits) <= most:
            say = later("Type a number from %(least)s to %(most)s.")
            raise OutOfBounds(say, least=least, most=most)
        return int(digits)

    return read


def _plain(text: str, most: int) -> str:
    if len(text) > most:
        raise OutOfBounds(later("This can be %(most)s characters long at most."), most=most)
    if any(_is_broken(sign) for sign in text):
        raise Invalid(say=NOT_READABLE)
    if _TAG.search(text) or _ENCODED_WORD.search(text):
        raise Invalid(say=NOT_PLAIN)
    return text


def _is_broken(sign: str) -> bool:
    return sign == "\ufffd" or (sign != "\n" and unicodedata.category(sign) in {"Cc", "Cs", "Co"})
