"""What the sea does to letters under way, in a world of chance."""

from enum import Enum

from crm.mail.smtp import Kind, Stage, Verdict
from tests.delivery.interleaved import Fate, Harbour, lost_after, lost_before


class Sea(Enum):
    """What happens to a sender's letters before it takes its next step."""

    STEP = "nothing, and it goes as far as to its next statement only"
    FAIR = "bodies arrive and dots are accepted"
    ARRIVE = "bodies arrive"
    ACCEPT = "dots are accepted"
    GREYLIST = "a dot is answered 451"
    TIRED = "a dot is answered 421"
    NOBODY = "a dot is answered 550 5.1.1"
    UNWANTED = "a dot is answered 550 5.7.1"
    HANG_UP = "the line of a dot is lost"
    RCPT_LATER = "a recipient is refused for now"
    RCPT_NOBODY = "a recipient is refused for good"
    SENDER_REFUSED = "our sender is refused"
    BREAK = "the line of a letter without a dot is lost"
    SEVEN_BIT = "a letter does not suit its line"
    DEAF = "the next dot cannot be written"
    UNHEARD = "the answer of the database is lost"
    CUT = "the connection to the database is cut"


def _said(kind: Kind, code: int, enhanced: str, words: str, stage: Stage) -> Verdict:
    wide = code == 421 or stage is Stage.MAIL
    return Verdict(kind, code, enhanced, words, wide, stage)


ACCEPTED = _said(Kind.ACCEPTED, 250, "2.0.0", "Ok", Stage.DOT)
AFTER = {
    Sea.GREYLIST: _said(Kind.LATER, 451, "4.7.1", "Greylisted, come again", Stage.DOT),
    Sea.TIRED: _said(Kind.LATER, 421, "4.3.2", "Closing", Stage.DOT),
    Sea.NOBODY: _said(Kind.REJECTED, 550, "5.1.1", "No such user", Stage.DOT),
    Sea.UNWANTED: _said(Kind.REJECTED, 550, "5.7.1", "Spam", Stage.DOT),
    Sea.HANG_UP: lost_after(),
}
BEFORE = {
    Sea.RCPT_LATER: _said(Kind.LATER, 450, "4.2.1", "Mailbox busy", Stage.RCPT),
    Sea.RCPT_NOBODY: _said(Kind.REJECTED, 550, "5.1.1", "No such user", Stage.RCPT),
    Sea.SENDER_REFUSED: _said(Kind.REJECTED, 550, "5.7.1", "Sender refused", Stage.MAIL),
    Sea.BREAK: lost_before(),
    Sea.SEVEN_BIT: Verdict(Kind.NOT_HANDED_OVER, None, None, "7 bits", False, Stage.MAIL),
}
FATES = {Sea.UNHEARD: Fate.UNHEARD, Sea.CUT: Fate.CUT}
WEATHER = [
    *[Sea.STEP] * 6,
    *[Sea.FAIR] * 14,
    *[Sea.ARRIVE] * 8,
    *[Sea.ACCEPT] * 3,
    *AFTER,
    *BEFORE,
    *FATES,
    Sea.DEAF,
]


def stir(harbour: Harbour, sea: Sea) -> None:
    """Let it happen to the letters of one sender."""
    without_dot = harbour.ready + harbour.waiting
    harbour.is_deaf |= sea is Sea.DEAF
    if sea in (Sea.ARRIVE, Sea.FAIR):
        harbour.arrive()
    if sea in (Sea.ACCEPT, Sea.FAIR):
        for key in list(harbour.dotted):
            harbour.answer(key, ACCEPTED)
    if sea in AFTER and harbour.dotted:
        harbour.answer(next(iter(harbour.dotted)), AFTER[sea])
    if sea in BEFORE and without_dot:
        harbour.refuse(without_dot[0], BEFORE[sea])
