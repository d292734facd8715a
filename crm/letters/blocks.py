"""The document that staff write: a list of blocks, their limits, and what may be wrong with it.

The document is the only thing that the editor sends and the database keeps. HTML is made from it
on the server, so a letter can hold nothing that no block stands for.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from crm.errors import Invalid, later

MOST_BLOCKS: Final = 60
LONGEST_TEXT: Final = 8_000
LONGEST_HEADING: Final = 300
LONGEST_BUTTON: Final = 60
LONGEST_ALT: Final = 200
LONGEST_PREHEADER: Final = 150
LONGEST_SUBJECT: Final = 200
LARGEST_HTML: Final = 100_000
"""Octets. Gmail cuts a letter at 102 KB, and the unsubscribe link with it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to correct: ``gettext(say, **values)`` is the sentence, ``path`` the place."""

    path: str
    """Dotted, such as ``blocks.3.href``; ``subject``, ``preheader`` or ``blocks`` at the top."""
    say: str
    values: Mapping[str, int] = field(default_factory=dict)


class DocumentFault(Invalid):
    """The letter cannot be taken as it stands; ``faults`` has every place, in reading order."""

    say = later("Some parts of the letter need correcting.")

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(", ".join(fault.path for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    level: int


@dataclass(frozen=True, slots=True)
class Text:
    html: str
    """Cleaned; fields as typed."""


@dataclass(frozen=True, slots=True)
class Button:
    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Image:
    src: str
    """``/media/<hash>.<ext>`` of our own library, or empty: not chosen yet, and left out."""
    alt: str


@dataclass(frozen=True, slots=True)
class Divider:
    """A thin line."""


@dataclass(frozen=True, slots=True)
class MedicalWarning:
    """The warning that advertising of medical services must carry. Source: 38-FZ 24(7)."""


Block = Heading | Text | Button | Image | Divider | MedicalWarning

NAMES: Final[dict[type[Block], str]] = {
    Heading: "heading",
    Text: "text",
    Button: "button",
    Image: "image",
    Divider: "divider",
    MedicalWarning: "medical_warning",
}
"""The ``type`` of each block in the document."""


@dataclass(frozen=True, slots=True)
class Document:
    """A checked and cleaned letter of the staff."""

    preheader: str
    blocks: tuple[Block, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what to store instead of what was sent: ``read_document`` takes it back."""
        blocks = [{"type": NAMES[type(block)], **asdict(block)} for block in self.blocks]
        return {"version": 1, "preheader": self.preheader, "blocks": blocks}
