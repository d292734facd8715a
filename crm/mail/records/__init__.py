"""SPF, DMARC and DKIM records as a mailbox provider reads them. Pure: whoever asks DNS hands it in.

`Ask` returns what DNS holds under a name, as text: TXT strings joined, host names in lower case
and without a final dot, addresses as they are written. What does not exist is an empty list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

Ask = Callable[[str, str], Sequence[str]]
"""``ask(name, type)``; the types are A, AAAA, MX, PTR and TXT."""


class Mark(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    HINT = "hint"
    """Letters arrive; something could be better."""
    FAULT = "FAULT"
    """A provider may refuse letters for it."""
    SKIPPED = "-"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and what to do about it: sentences without their full stop."""

    mark: Mark
    found: str
    do: str = ""


class Unreadable(ValueError):  # noqa: N818 - what is wrong with the record
    """A record breaks its grammar; the message says where."""


def tags(text: str) -> dict[str, str]:
    """Return the ``name=value`` pairs of a DKIM or DMARC record, names in lower case.

    Raises: Unreadable where one has no name or no value, or stands twice.

    >>> tags("v=DMARC1; p=none;")
    {'v': 'DMARC1', 'p': 'none'}
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        name = name.lower()
        if not sign or not name.isidentifier() or name in found:
            raise Unreadable(f"“{part[:40]}” cannot be read")
        found[name] = value
    return found
