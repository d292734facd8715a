"""What became of one letter, in words that may be stored and shown."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from crm.mail.smtp.reply import Reply

TEXT_LIMIT = 200
_READ_LIMIT = 1000
_MASK = "***"

_RELAY_CODES = frozenset({421, 454, 530, 534, 535, 538})
"""Refusals of the connection or of the sign-in, whatever command they answer."""

_WORD = re.compile(r"[^\s<>()\[\],;\"]+")
_SIGNS = r"[\w.,:;!?/'\"()<>\[\]#*-]+"
_INNOCENT = re.compile(rf"(?:{_SIGNS}(?: {_SIGNS})*)?", re.ASCII)
"""Words that hold nothing an address could be written with: most of what servers say."""
_AT = re.compile(r"@|\uff20|%40|&#0*64;|&#x0*40;|&commat;|=40|\+40", re.IGNORECASE)


class Kind(StrEnum):
    """The five ends of an attempt; only `UNCERTAIN` may have arrived without our knowing."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    LATER = "later"
    NOT_HANDED_OVER = "not_handed_over"
    UNCERTAIN = "uncertain"


_KINDS = {2: Kind.ACCEPTED, 4: Kind.LATER, 5: Kind.REJECTED}
"""By the first figure of a reply."""


class Stage(StrEnum):
    """What the server was answering, or not, when an attempt ended."""

    CONNECTION = "connection"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    """The command and the body: all from it to the dot."""
    DOT = "dot"


class Verdict(NamedTuple):
    """How one attempt to hand over one letter ended.

    `text` is one line without control characters, addresses masked. `relay_wide` says that the
    relay, the connection or the sender was refused: it tells nothing about the recipient.
    """

    kind: Kind
    code: int | None
    enhanced: str | None
    text: str
    relay_wide: bool
    stage: Stage


def judged(reply: Reply, *, stage: Stage, private: Iterable[str] = ()) -> Verdict:
    """Return what a 2xx, 4xx or 5xx reply means for the letter it answers."""
    enhanced, text = reply.parted()
    wide = stage is Stage.MAIL or reply.code in _RELAY_CODES
    kind = _KINDS[reply.code // 100]
    return Verdict(kind, reply.code, enhanced, presentable(text, private), wide, stage)


def not_handed_over(
    text: str,
    reply: Reply | None = None,
    *,
    stage: Stage = Stage.CONNECTION,
    relay_wide: bool = True,
) -> Verdict:
    """Return the verdict before the dot: the server has nothing, the letter may be tried again."""
    code, enhanced = None, None
    if reply is not None:
        enhanced, said = reply.parted()
        code, text = reply.code, f"{text}: {said}"
    whole = presentable(text)
    return Verdict(Kind.NOT_HANDED_OVER, code, enhanced, whole, relay_wide, stage)


def refused_here(code: int, enhanced: str, text: str, *, stage: Stage) -> Verdict:
    """Return the verdict that we give ourselves, before the server is asked."""
    return Verdict(Kind.REJECTED, code, enhanced, text, False, stage)


def uncertain(text: str) -> Verdict:
    """Return the verdict after the dot without a whole answer: the letter may have arrived."""
    return Verdict(Kind.UNCERTAIN, None, None, presentable(text), False, Stage.DOT)


def presentable(text: str, private: Iterable[str] = ()) -> str:
    """Return one line of at most 200 characters without addresses and without the private words.

    A word of fewer than three letters is not masked on its own: it would hit innocent text.
    """
    if len(text) > TEXT_LIMIT or not _INNOCENT.fullmatch(text):
        return _masked(text, private)
    lowered = text.lower()
    for word in private:
        if len(word) >= 3 and word.lower() in lowered:
            return _masked(text, private)
    return text


def _masked(text: str, private: Iterable[str]) -> str:
    if len(text) > _READ_LIMIT:
        text = text[:_READ_LIMIT].rpartition(" ")[0]
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    for word in private:
        if len(word) >= 3:
            whole = rf"(?<!\w){re.escape(word)}(?!\w)"
            line = re.sub(whole, _MASK, line, flags=re.IGNORECASE)
    line = _WORD.sub(lambda found: _MASK if _AT.search(found[0]) else found[0], line)
    return line[:TEXT_LIMIT].rstrip()
