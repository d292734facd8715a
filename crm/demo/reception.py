"""What people asked for through the forms, and what reception made of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from crm.appointments.models import AppointmentState, RequestKind, RequestState
from crm.appointments.rules import Outcome
from crm.demo.clinic import morning
from crm.demo.people import daytime
from crm.demo.world import Person, World

WAITING, CLAIMED = 11, 4
"""How many of the newest requests nobody has answered yet."""
KEPT: Final = timedelta(days=90)
"""Appointments are not kept longer after the visit."""
_AGAIN: Final = 0.14
_TODAY: Final = 0.35
"""Of last week's requests: who comes on the day of loading, so that the day's page is not empty."""
_S = AppointmentState
_APPOINTMENTS: Final = (
    "Здравствуйте! Хочу записаться на следующей неделе, лучше утром.",
    "Можно на субботу?",
    "Удобно в любой день после 17:00.",
    "Запишите, пожалуйста, на ближайшее время.",
    "Нужна запись на двоих, можно подряд?",
    "Предпочту вторник или четверг.",
    "Подскажите, есть ли время в эту пятницу вечером?",
    "Повторная запись, в прошлый раз приходили в октябре.",
    "Позвоните, пожалуйста, чтобы подобрать время.",
    "",
    "",
    "",
)
_QUESTIONS: Final = (
    "Работаете ли вы в праздничные дни?",
    "Как к вам проехать от метро?",
    "Нужно ли приносить документы?",
    "Есть ли парковка рядом с клиникой?",
    "Можно ли оплатить картой?",
    "До которого часа открыта регистратура?",
    "Можно ли получить справку об оплате для налоговой?",
    "Как получить копию договора?",
    "Входит ли консультация в программу страхования?",
    "Нужна ли предварительная запись?",
)
_ENGLISH: Final = ("Do you have staff who speak English?", "Could you call me back after 4 pm?")
_WISHES: Final = ("Лучше в тот же день, но после обеда.", "Могу только в среду или в пятницу.")


@dataclass(slots=True, kw_only=True)
class Visit:
    """An appointment to be."""

    starts_at: datetime
    state: AppointmentState
    proposed_at: datetime
    answered_at: datetime | None
    wish: str = ""
    revision: int = 1


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request to be, with the visit it led to."""

    person: Person
    kind: RequestKind
    message: str
    at: datetime
    state: RequestState = RequestState.DONE
    claimed_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: Outcome | None = None
    visit: Visit | None = None
    id: int = 0

    @property
    def source(self) -> str:
        """Return through what it came: a form, the telephone or the desk."""
        if self.person.created_by is None:
            return f"form:{self.kind.value}"
        return "phone" if self.person.source == "phone" else "desk"


def receive(rng: Random, world: World, *, at: datetime) -> list[Asked]:
    """Return everything that was asked, oldest first, numbered."""
    asked = [_asked(rng, person, person.at) for person in world.people]
    for one in list(asked):
        again = daytime(rng, one.at + (at - one.at) * rng.random())
        if rng.random() < _AGAIN and one.at + timedelta(days=3) < again < at:
            asked.append(_asked(rng, one.person, again))
    asked.sort(key=lambda one: one.at)
    for id_, one in enumerate(asked, 1):
        one.id = id_
        _close(rng, one, at=at)
    for age, one in enumerate(reversed(asked)):
        if age < WAITING + CLAIMED:
            _open(rng, one, claimed=age % 4 == 2 and age < 4 * CLAIMED, at=at)
    _move(rng, asked, at=at)
    return asked


def _asked(rng: Random, person: Person, at: datetime) -> Asked:
    is_question = person.source == "form:question"
    words = _QUESTIONS if is_question else _APPOINTMENTS
    by_hand = person.created_by is not None
    return Asked(
        person=person,
        kind=RequestKind.QUESTION if is_question else RequestKind.APPOINTMENT,
        message="" if by_hand else rng.choice(_ENGLISH if person.lang == "en" else words),
        at=at,
    )


def _close(rng: Random, one: Asked, *, at: datetime) -> None:
    one.claimed_at = min(one.at + timedelta(minutes=rng.uniform(3, 150)), at)
    one.closed_at = min(one.claimed_at + timedelta(minutes=rng.uniform(2, 40)), at)
    if one.kind is RequestKind.QUESTION:
        one.outcome = rng.choices((Outcome.ANSWERED, Outcome.NOT_REACHED), (92, 8))[0]
        return
    outcomes = (Outcome.APPOINTED, Outcome.ANSWERED, Outcome.NOT_REACHED, Outcome.SPAM)
    one.outcome = rng.choices(outcomes, (76, 12, 11, 1))[0]
    if one.outcome is Outcome.APPOINTED and one.at > at - KEPT:
        one.visit = _visit(rng, one.closed_at, at=at)


def _visit(rng: Random, proposed_at: datetime, *, at: datetime) -> Visit:
    soon = proposed_at > at - timedelta(days=8) and rng.random() < _TODAY
    day = at if soon else proposed_at + timedelta(days=rng.randint(0, 14))
    starts_at = morning(day, rng.randint(9, 19), rng.choice((0, 15, 30, 45)))
    if starts_at < proposed_at + timedelta(hours=1):
        starts_at += timedelta(days=1)
    answered_at = proposed_at + timedelta(minutes=rng.uniform(4, 900))
    state = _state(rng, is_over=starts_at <= at)
    if state is _S.CONFIRMED and answered_at > at:
        state = _S.PROPOSED
    is_answered = state not in (_S.PROPOSED, _S.MOVED)
    return Visit(
        starts_at=starts_at,
        state=state,
        proposed_at=proposed_at,
        answered_at=min(answered_at, starts_at, at) if is_answered else None,
        revision=2 if state is _S.MOVED else 1,
    )


def _state(rng: Random, *, is_over: bool) -> AppointmentState:
    if is_over:
        return rng.choices((_S.ARRIVED, _S.NO_SHOW, _S.CANCELLED), (87, 8, 5))[0]
    states = (_S.CONFIRMED, _S.PROPOSED, _S.MOVED, _S.CANCELLED)
    return rng.choices(states, (66, 24, 5, 5))[0]


def _open(rng: Random, one: Asked, *, claimed: bool, at: datetime) -> None:
    one.state = RequestState.CLAIMED if claimed else RequestState.WAITING
    one.claimed_at = min(one.at + timedelta(minutes=rng.uniform(2, 25)), at) if claimed else None
    one.closed_at, one.outcome, one.visit = None, None, None


def _move(rng: Random, asked: list[Asked], *, at: datetime) -> None:
    """Let two patients ask for another time: their requests wait again, on top."""
    movable = [one for one in asked if one.visit is not None and one.visit.state is _S.CONFIRMED]
    for one, wish in zip(rng.sample(movable, min(2, len(movable))), _WISHES, strict=False):
        if one.visit is not None:
            one.visit.state, one.visit.wish = _S.MOVE_REQUESTED, wish
            one.visit.answered_at = at - timedelta(minutes=rng.uniform(20, 200))
        one.state, one.claimed_at = RequestState.WAITING, None
        one.closed_at, one.outcome = None, None
