"""What a refusal means, whoever words it: the class by RFC 3463, but words over codes.

Providers lie with codes: ``550 5.7.1 No such user`` is no policy, and ``550 spam message rejected``
looks like ``550 invalid mailbox``. Only a reply about the recipient may say anything about a
person: what answers MAIL, DATA or the connection never does.
"""

import re
from enum import StrEnum
from typing import Final

from crm.mail import refusal_words as words


class Refusal(StrEnum):
    NO_SUCH_ADDRESS = "no_such_address"
    """Hard: the mailbox or its domain does not exist, or was closed."""
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_BUSY = "mailbox_busy"
    """Temporary, and of this recipient alone: nobody else there is refused by it."""
    GREYLISTED = "greylisted"
    """A stranger is asked to come again; nobody is slowed by it."""
    RATE_LIMITED = "rate_limited"
    """Too much at once, for this destination as a whole."""
    POLICY = "policy"
    """Spam, block lists, authentication, reputation: about us, never about a person."""
    OUR_FAULT = "our_fault"
    """Size, content, syntax, our sender's address, our sign-in at the relay."""
    UNAVAILABLE = "unavailable"
    """Temporary, for any other reason: the server itself is not well."""
    OTHER = "other"
    """Permanent and unclear."""


ABOUT_A_PERSON: Final = frozenset({"rcpt", "dot"})
"""Stages whose reply is about the recipient; a bounce letter is one about its ``dot``."""

_STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3}\.\d{1,3})(?![\d.])")
_ADDRESS: Final = re.compile(r"\S*@\S*")
_READ: Final = 1000
"""Characters: a report may be as long as its sender likes."""

_OUR_STATUSES: Final = frozenset({"1.7", "1.8", "1.9", "7.8"})
_SIGN_IN: Final = frozenset({530, 534, 535, 538})
"""Of our sender and our sign-in, whatever the words."""
_BY_WORDS: Final = (
    (words.GREYLISTED, Refusal.GREYLISTED),
    (words.OUR_SENDER, Refusal.OUR_FAULT),
    (words.ONE_MAILBOX_BUSY, Refusal.MAILBOX_BUSY),
    (words.TOO_MUCH, Refusal.RATE_LIMITED),
    (words.OUR_HOST, Refusal.POLICY),
    (words.WANTED_BY_NOBODY, Refusal.POLICY),
    (words.NO_SUCH, Refusal.NO_SUCH_ADDRESS),
    (words.FULL, Refusal.MAILBOX_FULL),
    (words.SIZE, Refusal.OUR_FAULT),
    (words.POLICY, Refusal.POLICY),
    (words.CLOSED, Refusal.NO_SUCH_ADDRESS),
)
"""The first that is found decides: what speaks of us before what speaks of a person."""
_BY_STATUS: Final = {
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.6", "1.10", "4.4"), Refusal.NO_SUCH_ADDRESS),
    **dict.fromkeys(("2.3", "3.4"), Refusal.OUR_FAULT),
    **dict.fromkeys(("5.3", "7.28", "7.500", "7.650", "7.651"), Refusal.RATE_LIMITED),
    "2.2": Refusal.MAILBOX_FULL,
    "5.0": Refusal.OTHER,
}
_BY_SUBJECT: Final = {"5": Refusal.OUR_FAULT, "6": Refusal.OUR_FAULT, "7": Refusal.POLICY}
_OF_A_MAILBOX: Final = ("1.", "2.")
"""Subjects of RFC 3463: addressing, and the state of the mailbox."""
_BY_CODE: Final = {
    **dict.fromkeys((500, 501, 502, 503, 504, 555), Refusal.OUR_FAULT),
    552: Refusal.MAILBOX_FULL,
}


def classify(code: int | None, enhanced: str | None, text: str, *, stage: str) -> Refusal:
    """Return what a refusal is about.

    What was refused for now is never hard: a mailbox that "does not exist" with a 4xx may exist in
    an hour.

    Args:
        code: of the reply; None where none came, or where a bounce letter tells only a status.
        enhanced: the status, such as ``5.1.1``; looked for in ``text`` where it is None.
        text: the reply, in any language; masked addresses do no harm, bare ones neither.
        stage: ``connect``, ``hello``, ``mail``, ``rcpt``, ``data`` or ``dot``. Only ``rcpt`` and
            ``dot`` may tell something about a person.

    >>> classify(550, "5.7.1", "No such user!", stage="rcpt").value
    'no_such_address'
    """
    status = _STATUS.search(enhanced or text)
    family, detail = (status[1], status[2]) if status else ("", "")
    said = " ".join(_ADDRESS.sub("*", text[:_READ].lower()).split())
    if code // 100 == 5 if code else family == "5":
        refusal = _permanent(code, detail, said)
    else:
        refusal = _temporary(detail, said, stage)
    return refusal if stage in ABOUT_A_PERSON else _PERSONAL.get(refusal, refusal)


_EVEN_FOR_NOW: Final = frozenset(
    {
        Refusal.GREYLISTED,
        Refusal.MAILBOX_FULL,
        Refusal.MAILBOX_BUSY,
        Refusal.OUR_FAULT,
        Refusal.RATE_LIMITED,
        Refusal.UNAVAILABLE,
    }
)
"""What a temporary refusal can mean, besides policy."""
_PERSONAL: Final = {
    Refusal.NO_SUCH_ADDRESS: Refusal.OTHER,
    Refusal.MAILBOX_FULL: Refusal.UNAVAILABLE,
    Refusal.MAILBOX_BUSY: Refusal.UNAVAILABLE,
}
"""What these become where nobody was named yet."""


def _by_words(said: str) -> Refusal | None:
    return next((refusal for phrases, refusal in _BY_WORDS if phrases.search(said)), None)


def _permanent(code: int | None, detail: str, said: str) -> Refusal:
    if detail in _OUR_STATUSES or code in _SIGN_IN:
        return Refusal.OUR_FAULT
    subject = detail.partition(".")[0]
    by_status = _BY_STATUS.get(detail) or _BY_SUBJECT.get(subject)
    return _by_words(said) or by_status or _BY_CODE.get(code or 0, Refusal.OTHER)


def _temporary(detail: str, said: str, stage: str) -> Refusal:
    found = _by_words(said)
    by_status = _BY_STATUS.get(detail)
    if found in _EVEN_FOR_NOW:
        return found
    if by_status in _EVEN_FOR_NOW:
        return by_status
    if detail == "7.1" and stage in ABOUT_A_PERSON and words.LATER.search(said):
        return Refusal.GREYLISTED
    if found is Refusal.POLICY or detail.startswith("7."):
        return Refusal.POLICY
    of_one = detail.startswith(_OF_A_MAILBOX) or found is Refusal.NO_SUCH_ADDRESS
    if of_one or words.ONE_MAILBOX_AWAY.search(said):
        return Refusal.MAILBOX_BUSY
    return Refusal.UNAVAILABLE
