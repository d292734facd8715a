"""Reads what the editor sends: every block is checked, and every fault has its place."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from crm.errors import later
from crm.letters.blocks import (
    LONGEST_ALT,
    LONGEST_BUTTON,
    LONGEST_HEADING,
    LONGEST_PREHEADER,
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    MOST_BLOCKS,
    NAMES,
    Block,
    Button,
    Divider,
    Document,
    DocumentFault,
    Fault,
    Heading,
    Image,
    MedicalWarning,
    Text,
)
from crm.letters.merge import Kind, MergeFault, mark_link, mark_text
from crm.letters.richtext import clean, mark_rich, plain, read_link

_NOT_A_DOCUMENT = later("This is not a letter of a known version.")
_TOO_MANY = later("At most %(limit)s blocks.")
_NO_BLOCK = later("There is no such block.")
_NO_SETTING = later("This block has no such setting.")
_NOT_TEXT = later("Text is expected here.")
_EMPTY = later("Fill this in.")
_TOO_LONG = later("At most %(limit)s characters.")
_BAD_CHARACTERS = later("There are characters here that cannot be in a letter.")
_BAD_LINK = later("A link begins with https://, mailto: or tel: and has no blanks.")
_BAD_IMAGE = later("Choose a picture from the library.")
_BAD_LEVEL = later("A heading has a level from 1 to 3.")
_NO_ALT = later("Describe the picture for those who do not see it.")

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f⟦⟧\ud800-\udfff\ufffe\uffff]")
_MEDIA: Final = re.compile(r"/media/[0-9a-f]{8,64}\.(?:png|jpg|gif)")


class _Desk:
    """Reads values and collects faults, so that one look names every place."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.faults: list[Fault] = []

    def refuse(self, path: str, say: str, **values: int) -> str:
        self.faults.append(Fault(path, say, values))
        return ""

    def words(self, raw: object, path: str, limit: int, *, fields: bool, empty: str = "") -> str:
        """Return one line of text; ``empty`` is the refusal of an empty one, if it is refused."""
        if not isinstance(raw, str):
            return self.refuse(path, _NOT_TEXT)
        text = " ".join(raw.split())
        if not text and empty:
            return self.refuse(path, empty)
        if len(text) > limit:
            return self.refuse(path, _TOO_LONG, limit=limit)
        if _UNPRINTABLE.search(text):
            return self.refuse(path, _BAD_CHARACTERS)
        return self._mergeable(text, path, mark_text) if fields else text

    def rich(self, raw: object, path: str) -> str:
        if not isinstance(raw, str):
            return self.refuse(path, _NOT_TEXT)
        if len(raw) > LONGEST_TEXT:
            return self.refuse(path, _TOO_LONG, limit=LONGEST_TEXT)
        if _UNPRINTABLE.search(raw):
            return self.refuse(path, _BAD_CHARACTERS)
        cleaned = clean(raw, self.kind)
        if not plain(cleaned):
            return self.refuse(path, _EMPTY)
        return self._mergeable(cleaned, path, mark_rich)

    def _mergeable(self, text: str, path: str, marked: Callable[[str, Kind], str]) -> str:
        try:
            marked(text, self.kind)
        except MergeFault as fault:
            return self.refuse(path, fault.say, position=fault.position)
        return text

    def link(self, raw: object, path: str) -> str:
        if not isinstance(raw, str):
            return self.refuse(path, _NOT_TEXT)
        if mark_link(raw, self.kind):
            return raw.strip()
        return read_link(raw) or self.refuse(path, _BAD_LINK)

    def image(self, raw: object, path: str) -> str:
        if raw in (None, ""):
            return ""
        if not isinstance(raw, str) or not _MEDIA.fullmatch(raw):
            return self.refuse(path, _BAD_IMAGE)
        return raw


Raw = Mapping[str, object]


def _heading(desk: _Desk, raw: Raw, path: str) -> Block:
    level = raw.get("level", 1)
    if not isinstance(level, int) or level not in (1, 2, 3):
        desk.refuse(f"{path}.level", _BAD_LEVEL)
        level = 1
    text = desk.words(raw.get("text"), f"{path}.text", LONGEST_HEADING, fields=True, empty=_EMPTY)
    return Heading(text, int(level))


def _text(desk: _Desk, raw: Raw, path: str) -> Block:
    return Text(desk.rich(raw.get("html"), f"{path}.html"))


def _button(desk: _Desk, raw: Raw, path: str) -> Block:
    text = desk.words(raw.get("text"), f"{path}.text", LONGEST_BUTTON, fields=True, empty=_EMPTY)
    return Button(text, desk.link(raw.get("href"), f"{path}.href"))


def _image(desk: _Desk, raw: Raw, path: str) -> Block:
    src = desk.image(raw.get("src"), f"{path}.src")
    alt = desk.words(raw.get("alt", ""), f"{path}.alt", LONGEST_ALT, fields=False, empty=_NO_ALT)
    return Image(src, alt)


_READERS: Final[dict[str, tuple[Callable[[_Desk, Raw, str], Block], frozenset[str]]]] = {
    NAMES[Heading]: (_heading, frozenset({"text", "level"})),
    NAMES[Text]: (_text, frozenset({"html"})),
    NAMES[Button]: (_button, frozenset({"text", "href"})),
    NAMES[Image]: (_image, frozenset({"src", "alt"})),
    NAMES[Divider]: (lambda *_: Divider(), frozenset()),
    NAMES[MedicalWarning]: (lambda *_: MedicalWarning(), frozenset()),
}


def read_document(raw: object, kind: Kind) -> Document:
    """Return the checked and cleaned document of decoded JSON ``raw``.

    Raises:
        DocumentFault: with a fault for every place that needs correcting.

    """
    if not isinstance(raw, dict) or raw.get("version") != 1:
        raise DocumentFault([Fault("blocks", _NOT_A_DOCUMENT)])
    items = raw.get("blocks")
    if not isinstance(items, list):
        raise DocumentFault([Fault("blocks", _NOT_A_DOCUMENT)])
    if len(items) > MOST_BLOCKS:
        raise DocumentFault([Fault("blocks", _TOO_MANY, {"limit": MOST_BLOCKS})])
    desk = _Desk(kind)
    preheader = desk.words(raw.get("preheader", ""), "preheader", LONGEST_PREHEADER, fields=True)
    blocks = [_read_block(desk, item, f"blocks.{at}") for at, item in enumerate(items)]
    if desk.faults:
        raise DocumentFault(desk.faults)
    return Document(preheader, tuple(block for block in blocks if block is not None))


def _read_block(desk: _Desk, raw: object, path: str) -> Block | None:
    name = raw.get("type") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(name, str) or name not in _READERS:
        desk.refuse(path, _NO_BLOCK)
        return None
    read, settings = _READERS[name]
    for extra in sorted(str(key) for key in set(raw) - settings - {"type"}):
        desk.refuse(f"{path}.{extra[:40]}", _NO_SETTING)
    return read(desk, raw, path)


def read_subject(raw: object, kind: Kind) -> str:
    """Return the checked subject, fields as typed.

    Raises:
        DocumentFault: one fault with the path ``subject``.

    """
    desk = _Desk(kind)
    if isinstance(raw, str) and ("=?" in raw or re.search(r"[\r\n]", raw.strip())):
        desk.refuse("subject", _BAD_CHARACTERS)
    subject = desk.words(raw, "subject", LONGEST_SUBJECT, fields=True, empty=_EMPTY)
    if desk.faults:
        raise DocumentFault(desk.faults)
    return subject
