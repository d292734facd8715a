"""Mailings of the past: who got them, who was passed by and why, and who refused afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

from crm.consent.rules import STOPS, Act, Bars, Channel, Purpose, Reason, refusal
from crm.contacts.models import Kind
from crm.delivery.states import DeliveryState
from crm.demo.world import Fact, Place, World

MISTYPED: Final = 0.012
REFUSES: Final = 0.014
COMPLAINS: Final = 0.0016
MINDS_CHANGED: Final = 5
"""How many say stop while a mailing runs, before their letter's turn."""
UNANSWERED: Final = 3
"""How many letters were under way when a mailing's connection broke, and may have come or not."""
WHILE_PAUSED: Final = timedelta(minutes=38)
ACCEPTED_WORDS: Final = "2.0.0 Accepted"
MISTYPED_WORDS: Final = "5.1.1 No such mailbox"


@dataclass(slots=True, kw_only=True)
class Posted:
    """One letter to be: its delivery and how it ended."""

    id: int
    place: Place
    contact_id: int
    at: datetime
    state: DeliveryState
    reason: Reason | None = None
    decided: Fact | None = None
    code: int | None = None
    reply: str | None = None
    begun: bool = True
    """Whether a sender had it in hands; the rest of a stopped mailing was not begun."""


@dataclass(slots=True, kw_only=True)
class Run:
    """One mailing to be."""

    launched_at: datetime
    per_minute: int
    stopped_after: int | None = None
    """How many letters had left when somebody stopped it."""
    paused_after: int | None = None
    broken_after: int | None = None
    """How many letters had had their turn when the connection to the relay broke."""
    letters: list[Posted] = field(default_factory=list)

    @property
    def ended_at(self) -> datetime:
        return self.letters[-1].at + timedelta(seconds=2)

    def turn(self, number: int) -> datetime:
        """Return when the letter with this number has its turn."""
        at = self.launched_at + timedelta(seconds=1.5 + number * 60 / self.per_minute)
        paused = self.paused_after is not None and number >= self.paused_after
        return at + WHILE_PAUSED if paused else at


def post(rng: Random, world: World, run: Run, *, first_id: int, staff_id: int, at: datetime) -> int:
    """Send the mailing to whom it reached then; return the next free id of a delivery."""
    audience = _audience(world, at=run.launched_at)
    _change_minds(rng, audience, run, staff_id=staff_id)
    for number, place in enumerate(audience):
        run.letters.append(_letter(rng, place, run, number, id_=first_id + number))
    for letter in _under_way(run):
        _ends(letter, DeliveryState.UNCERTAIN)
        letter.decided = None
    for letter in run.letters:
        letter.place.facts += _aftermath(rng, letter, at=at)
    return first_id + len(audience)


def _audience(world: World, *, at: datetime) -> list[Place]:
    found = [
        place
        for place in world.places
        if place.kind is Kind.EMAIL and place.since < at and _refused(place, at=at) is None
    ]
    return sorted(found, key=lambda place: (place.provider, place.id))


def _refused(place: Place, *, at: datetime) -> Reason | None:
    standing = place.standing(Purpose.MARKETING, Channel.EMAIL, at=at)
    blocked = place.blocked_at is not None and place.blocked_at <= at
    return refusal(Purpose.MARKETING, standing, Bars(blocked=blocked), at=at)


def _change_minds(rng: Random, audience: list[Place], run: Run, *, staff_id: int) -> None:
    last = run.stopped_after or len(audience)
    late = range(run.paused_after or last // 2, last)
    for number in rng.sample(late, MINDS_CHANGED) if len(late) > MINDS_CHANGED else ():
        place, turn = audience[number], run.turn(number)
        moment = run.launched_at + (turn - run.launched_at) * rng.uniform(0.4, 0.9)
        act, source = rng.choices(
            ((Act.OPTED_OUT, "phone"), (Act.OPTED_OUT, "link"), (Act.BOUNCED, "bounce")), (5, 3, 1)
        )[0]
        actor_id = staff_id if source == "phone" else None
        place.facts.append(_said(place, act, source, at=moment, actor_id=actor_id))


def _letter(rng: Random, place: Place, run: Run, number: int, *, id_: int) -> Posted:
    contact_id = min(person.id for person in place.people if person.at < run.launched_at)
    letter = Posted(
        id=id_,
        place=place,
        contact_id=contact_id,
        at=run.turn(number),
        state=DeliveryState.ACCEPTED,
        code=250,
        reply=ACCEPTED_WORDS,
    )
    if run.stopped_after is not None and number >= run.stopped_after:
        letter.at, letter.begun = run.turn(run.stopped_after), False
        _ends(letter, DeliveryState.WITHHELD, reason=Reason.STOPPED)
        return letter
    refused = _refused(place, at=letter.at)
    letter.decided = _decider(place, at=letter.at, refused=refused is not None)
    if refused is not None:
        _ends(letter, DeliveryState.WITHHELD, reason=refused)
    elif rng.random() < MISTYPED:
        _ends(letter, DeliveryState.FAILED, code=550, reply=MISTYPED_WORDS)
        letter.decided = None
    return letter


def _under_way(run: Run) -> list[Posted]:
    """Return the letters that had left when the connection broke, and were never answered."""
    if run.broken_after is None:
        return []
    later = run.letters[run.broken_after :]
    return [one for one in later if one.state is DeliveryState.ACCEPTED][:UNANSWERED]


def _ends(
    letter: Posted,
    state: DeliveryState,
    *,
    reason: Reason | None = None,
    code: int | None = None,
    reply: str | None = None,
) -> None:
    letter.state, letter.reason, letter.code, letter.reply = state, reason, code, reply


def _decider(place: Place, *, at: datetime, refused: bool) -> Fact | None:
    """Return the newest stop, or the newest confirmation: what a sender would have named."""
    stops = {name.removesuffix("_at") for name, _reason in STOPS}
    wanted = stops if refused else {Act.CONFIRMED.value}
    found = [
        fact
        for fact in place.facts
        if fact.purpose is Purpose.MARKETING and fact.at <= at and fact.act.value in wanted
    ]
    return max(found, key=lambda fact: fact.at, default=None)


def _aftermath(rng: Random, letter: Posted, *, at: datetime) -> Iterator[Fact]:
    if letter.state is DeliveryState.FAILED:
        yield from _before(
            at, _said(letter.place, Act.BOUNCED, "bounce", at=letter.at, letter=letter)
        )
    if letter.state is not DeliveryState.ACCEPTED:
        return
    later = letter.at + timedelta(hours=min(rng.expovariate(1 / 9), 140))
    chance = rng.random()
    if chance < COMPLAINS:
        yield from _before(
            at, _said(letter.place, Act.COMPLAINED, "bounce", at=later, letter=letter)
        )
    elif chance < COMPLAINS + REFUSES:
        source = rng.choice(("one_click", "link"))
        yield from _before(at, _said(letter.place, Act.OPTED_OUT, source, at=later, letter=letter))


def _before(at: datetime, fact: Fact) -> Iterator[Fact]:
    if fact.at < at:
        yield fact


def _said(
    place: Place,
    act: Act,
    source: str,
    *,
    at: datetime,
    actor_id: int | None = None,
    letter: Posted | None = None,
) -> Fact:
    clicked = source in ("link", "one_click")
    return Fact(
        act=act,
        purpose=Purpose.MARKETING,
        channel=Channel.EMAIL,
        place=place,
        at=at,
        source=source,
        person=place.people[0] if actor_id is not None else None,
        actor_id=actor_id,
        delivery_id=None if letter is None else letter.id,
        evidence="page" if clicked else None,
    )
