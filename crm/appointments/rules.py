"""What may become of an appointment, and which times and places may be offered. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from crm.errors import later


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    APPOINTED = "appointed"
    NOT_REACHED = "not_reached"
    SPAM = "spam"


BY_HAND: Final = (Outcome.ANSWERED, Outcome.NOT_REACHED, Outcome.SPAM)
"""How a receptionist may close a request; an appointment closes it by itself."""


class AppointmentState(StrEnum):
    """The names are the contract's."""

    REQUESTED = "requested"
    PROPOSED = "proposed"
    """A time was offered; the patient has not answered."""
    CONFIRMED = "confirmed"
    MOVE_REQUESTED = "move_requested"
    """The patient asked for another time; the old one is still the best that is known."""
    MOVED = "moved"
    """Another time than before was offered; the patient has not answered that one."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    ARRIVED = "arrived"
    NO_SHOW = "no_show"


class Act(StrEnum):
    """What somebody does to an appointment."""

    PROPOSE = "propose"
    """Reception offers a time by letter."""
    AGREE = "agree"
    """Reception and patient agree on a time by phone."""
    CONFIRM = "confirm"
    MOVE = "move"
    """The patient asks for another time."""
    CANCEL = "cancel"
    ARRIVE = "arrive"
    MISS = "miss"


PATIENT: Final = frozenset({Act.CONFIRM, Act.MOVE, Act.CANCEL})
"""What the link in a letter may do."""

_S = AppointmentState
OPEN: Final = frozenset({_S.PROPOSED, _S.MOVED, _S.CONFIRMED, _S.MOVE_REQUESTED})
"""The visit may still take place."""
OFFERED: Final = frozenset({_S.PROPOSED, _S.MOVED})
"""A time lies with the patient."""

_FROM: Final[dict[Act, frozenset[AppointmentState]]] = {
    Act.PROPOSE: OPEN | {_S.REQUESTED, _S.EXPIRED},
    Act.AGREE: OPEN | {_S.REQUESTED, _S.EXPIRED},
    Act.CONFIRM: OFFERED,
    Act.MOVE: OFFERED | {_S.CONFIRMED},
    Act.CANCEL: OPEN,
    Act.ARRIVE: OPEN | {_S.NO_SHOW},
    Act.MISS: OPEN | {_S.ARRIVED},
}
_TO: Final[dict[Act, AppointmentState]] = {
    Act.AGREE: _S.CONFIRMED,
    Act.CONFIRM: _S.CONFIRMED,
    Act.MOVE: _S.MOVE_REQUESTED,
    Act.CANCEL: _S.CANCELLED,
    Act.ARRIVE: _S.ARRIVED,
    Act.MISS: _S.NO_SHOW,
}

FURTHEST: Final = timedelta(days=366)
EARLY: Final = timedelta(hours=1)
"""How long before the time a patient may be marked as arrived."""
LONGEST_WISH: Final = 300
LONGEST_PLACE: Final = 300

_PAST = later("This time has passed. Choose a later one.")
_TOO_FAR = later("This is more than a year ahead. Check the date.")
_SKIPPED = later("There is no such time on that day: the clocks go forward. Choose another one.")
_NO_PLACE = later("Say where the visit is.")
_LONG_PLACE = later("The place is too long: 300 characters at most.")
_BAD_PLACE = later("The place may hold letters, digits and punctuation in one line only.")
_LONG_WISH = later("That is too long: 300 characters at most.")
_BAD_WISH = later("There is a character that cannot be stored. Type the words anew.")


class Refused(StrEnum):
    """Why an act changes nothing."""

    ENDED = "ended"
    """The visit is cancelled, over, or has passed."""
    NOT_NOW = "not_now"
    """Not in this state, such as confirming after having asked for another time."""


def after(
    act: Act, before: AppointmentState, *, starts_at: datetime, at: datetime
) -> AppointmentState | Refused:
    """Return the state after any act but PROPOSE. The same act again leaves the state as it is.

    >>> soon = datetime(2027, 3, 2, tzinfo=UTC)
    >>> after(Act.CONFIRM, AppointmentState.MOVED, starts_at=soon, at=soon - EARLY).value
    'confirmed'
    """
    target = _TO[act]
    if before is target and act is not Act.AGREE:
        return before
    if before not in _FROM[act]:
        return Refused.NOT_NOW if before in OPEN else Refused.ENDED
    return _in_time(act, target, starts_at=starts_at, at=at)


def _in_time(
    act: Act, target: AppointmentState, *, starts_at: datetime, at: datetime
) -> AppointmentState | Refused:
    if act in PATIENT and starts_at <= at:
        return Refused.ENDED
    if act is Act.ARRIVE and at < starts_at - EARLY:
        return Refused.NOT_NOW
    if act is Act.MISS and at < starts_at:
        return Refused.NOT_NOW
    return target


def may_be_offered(before: AppointmentState) -> bool:
    """Return whether reception may set a time: a cancelled or past visit needs a new request."""
    return before in _FROM[Act.PROPOSE]


def offered(*, old: datetime | None, new: datetime) -> AppointmentState:
    """Return the state of an appointment whose time was just offered by letter."""
    return _S.PROPOSED if old is None or old == new else _S.MOVED


def moment(day: date, hour: time, zone: ZoneInfo, *, at: datetime) -> datetime | str:
    """Return the moment that a clock in ``zone`` shows as this, or a sentence why it cannot be.

    An hour that comes twice, when the clocks go back, means its first time.
    """
    today = at.astimezone(zone).date()
    if day < today:
        return _PAST
    if day - today > FURTHEST:
        return _TOO_FAR
    wall = datetime.combine(day, hour, tzinfo=zone)
    found = wall.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
        return _SKIPPED
    return found if found > at else _PAST


def place(typed: str) -> str:
    """Return a place in one line, ready to stand in a letter.

    >>> place("  Речная ул., 12 ")
    'Речная ул., 12'

    Raises:
        ValueError: with a sentence.

    """
    words = typed.replace("\N{NO-BREAK SPACE}", " ").strip(" ")
    if not words:
        raise ValueError(_NO_PLACE)
    if len(words) > LONGEST_PLACE:
        raise ValueError(_LONG_PLACE)
    if not _is_plain(words) or "=?" in words or set(words) & set("<>{}⟦⟧"):
        raise ValueError(_BAD_PLACE)
    return " ".join(words.split())


def wish(typed: str) -> str:
    """Return what a patient asks for, its line breaks kept.

    Raises:
        ValueError: with a sentence.

    """
    words = typed.replace("\r\n", "\n").replace("\N{NO-BREAK SPACE}", " ").strip()
    if len(words) > LONGEST_WISH:
        raise ValueError(_LONG_WISH)
    if not _is_plain(words.replace("\n", " ").replace("\t", " ")):
        raise ValueError(_BAD_WISH)
    return words


def _is_plain(words: str) -> bool:
    return words.isprintable() and "\N{REPLACEMENT CHARACTER}" not in words
