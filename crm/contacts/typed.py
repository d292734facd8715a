"""Names and notes as typed by people: read, or refused with a sentence."""

import re
import unicodedata
from typing import Final

from crm.errors import Invalid, later

LONGEST_NAME: Final = 80
LONGEST_NOTE: Final = 500


class TypedFault(Invalid):
    """What was typed is not a name or a note; ``say`` tells what to correct."""


_BLANKS: Final = re.compile("[ \t\u00a0\u202f]+")
_BETWEEN_LETTERS: Final = frozenset(" -‐.'’ʼ`()")
_TOO_LONG_NAME: Final = later("A name is 80 characters long at most.")
_NOT_A_NAME: Final = later("Only letters, spaces, hyphens and apostrophes can stand in a name.")
_TOO_LONG_NOTE: Final = later("A note is 500 characters long at most.")
_NOT_READABLE: Final = later("There are characters in the note that cannot be read. Type it anew.")

_HEALTH: Final = re.compile(
    r"\b(?:диабет|гастрит|артроз|артрит|гипертони|бронхит|астм[аыуе]|остеохондроз|варикоз|геморро"
    r"|язв[аыуе]|аллерги|мигрен|псориаз|экзем|простатит|цистит|грыж|кариес|инфаркт|инсульт|онколог"
    r"|рак(?:а|у|ом|е)?\b|опухол|вич\b|спид\b|гепатит|туберкул|беременн|аборт|депресси|шизофрен"
    r"|эпилепс|инвалид|диагноз|болезн|заболеван|симптом|анализ(?:ы|ов|ам)?\b|операци|лечени|лечит"
    r"|диаб|давлени[еяю]|боли?т\b|боль\b|боли\b|жалоб|diabet|diagnos|allerg|asthma|cancer|hiv\b"
    r"|pregnan|hepatitis|surgery|disease)\w*",
    re.IGNORECASE,
)


def read_name(typed: str) -> str:
    """Return a part of a name in one line and composed letters; empty where nothing was typed.

    Raises:
        TypedFault: too long, or something that stands in no name: signs, tags, line breaks.

    """
    text = _BLANKS.sub(" ", unicodedata.normalize("NFC", typed)).strip()
    if len(text) > LONGEST_NAME:
        raise TypedFault(say=_TOO_LONG_NAME)
    if not all(_in_a_name(letter) for letter in text):
        raise TypedFault(say=_NOT_A_NAME)
    if text and not any(letter.isalpha() for letter in text):
        raise TypedFault(say=_NOT_A_NAME)
    return text


def read_note(typed: str) -> str:
    """Return the note with plain line breaks. It is text: whoever shows it escapes it.

    Raises:
        TypedFault: too long, or control characters and broken letters in it.

    """
    text = typed.replace("\r\n", "\n").replace("\t", " ").strip()
    if len(text) > LONGEST_NOTE:
        raise TypedFault(say=_TOO_LONG_NOTE)
    if any(_is_broken(sign) for sign in text):
        raise TypedFault(say=_NOT_READABLE)
    return text


def health_words(note: str) -> list[str]:
    """Return words that may tell of somebody's health, which has no place in a CRM (PUR-04).

    A first reader that knows stems: it asks a person to look again, it decides nothing.
    Source: 152-FZ art. 5(5), 323-FZ art. 13.

    >>> health_words("Позвонить после шести, у сына диабет")
    ['диабет']
    """
    return list(dict.fromkeys(_HEALTH.findall(note)))


def _in_a_name(letter: str) -> bool:
    return letter.isalpha() or letter in _BETWEEN_LETTERS or unicodedata.category(letter) == "Mn"


def _is_broken(sign: str) -> bool:
    return sign == "\ufffd" or (sign != "\n" and unicodedata.category(sign) in {"Cc", "Cs", "Co"})
