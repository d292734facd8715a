"""What people have said about letters in two years, and what reception wrote down for them.

Refusals by a link or a button are not here: they answer letters, see ``posted``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from crm.consent.rules import Act, Channel, Purpose
from crm.consent.service import CONFIRM_WITHIN, months_later
from crm.demo.people import daytime
from crm.demo.texts import FIRST_TERM_MONTHS, RENEWED
from crm.demo.world import Fact, Person, Place, World

TICKED: Final = 0.78
CONFIRMED: Final = 0.83
REFUSED_BY_VOICE: Final = 0.045
RENEWS: Final = 0.6
"""Of those whose first consent has run out."""
SIGNED: Final = 0.35
"""Of those added by hand: who signed a consent on paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """Which term a consent has, by when it was confirmed."""

    months: int
    at: datetime

    def expires_at(self, confirmed_at: datetime, asked_at: datetime) -> datetime:
        """Return the end of the term of the text that was shown."""
        first = asked_at < self.at - RENEWED
        return months_later(confirmed_at, FIRST_TERM_MONTHS if first else self.months)


def tell(rng: Random, world: World, *, era: Era, staff_id: int) -> None:
    """Write everybody's history into their places, up to now."""
    for person in world.people:
        if person.created_by is None:
            _through_form(rng, person, era=era)
        elif (person.email and person.source == "paper") or rng.random() < SIGNED:
            _on_paper(rng, person, era=era)
        _later(rng, person, era=era, staff_id=staff_id)


def ask(rng: Random, person: Person, at: datetime, *, era: Era, source: str) -> None:
    """Let the person tick the box of advertising at ``at``, and perhaps confirm in time."""
    if person.email is None:
        return
    _add(
        person.email,
        Act.ASKED,
        person=person,
        at=at,
        source=source,
        text_key="marketing_email",
        evidence="tick",
    )
    confirmed_at = at + _until_confirmed(rng)
    if rng.random() < CONFIRMED and confirmed_at < era.at:
        _add(
            person.email,
            Act.CONFIRMED,
            person=person,
            at=confirmed_at,
            source="link",
            text_key="marketing_email",
            evidence="page",
            expires_at=era.expires_at(confirmed_at, at),
            asked_at=at,
        )


def _through_form(rng: Random, person: Person, *, era: Era) -> None:
    for place, channel in ((person.email, Channel.EMAIL), (person.phone, Channel.PHONE)):
        if place is not None:
            _add(
                place,
                Act.ASKED,
                purpose=Purpose.SERVICE,
                channel=channel,
                person=person,
                at=person.at,
                source=person.source,
                text_key="processing",
                evidence="tick",
            )
    if rng.random() < TICKED:
        ask(rng, person, person.at, era=era, source=person.source)


def _on_paper(rng: Random, person: Person, *, era: Era) -> None:
    if person.email is None:
        return
    for act in (Act.ASKED, Act.CONFIRMED):
        _add(
            person.email,
            act,
            person=person,
            at=person.at,
            source="paper",
            text_key="marketing_email",
            evidence="paper" if act is Act.CONFIRMED else None,
            expires_at=era.expires_at(person.at, person.at) if act is Act.CONFIRMED else None,
            actor_id=person.created_by,
        )


def _later(rng: Random, person: Person, *, era: Era, staff_id: int) -> None:
    place = person.email
    if place is None:
        return
    now = place.standing(Purpose.MARKETING, Channel.EMAIL, at=era.at)
    if now.confirmed_at is None:
        return
    if now.expires_at is not None and now.expires_at < era.at and rng.random() < RENEWS:
        again = daytime(rng, now.expires_at + timedelta(days=rng.randint(-40, 30)))
        if now.confirmed_at < again < era.at - timedelta(days=1):
            ask(rng, person, again, era=era, source="form:question")
    if rng.random() < REFUSED_BY_VOICE:
        _refuse(rng, person, place, after=now.confirmed_at, era=era, staff_id=staff_id)


def _refuse(
    rng: Random, person: Person, place: Place, *, after: datetime, era: Era, staff_id: int
) -> None:
    at = daytime(rng, after + (era.at - after) * rng.random())
    if not after < at < era.at:
        return
    act = rng.choices((Act.OPTED_OUT, Act.WITHDRAWN, Act.STOP_DEMANDED), (76, 14, 10))[0]
    source = (
        "letter" if act is not Act.OPTED_OUT else rng.choice(("phone", "phone", "desk", "mailto"))
    )
    _add(place, act, person=person, at=at, source=source, actor_id=staff_id)
    again = at + timedelta(days=rng.randint(20, 200))
    if act is Act.OPTED_OUT and rng.random() < 0.25 and again < era.at:
        ask(rng, person, daytime(rng, again), era=era, source="form:appointment")


def _until_confirmed(rng: Random) -> timedelta:
    minutes = rng.choice((rng.uniform(1, 30), rng.uniform(2, 90), rng.uniform(60, 3_000)))
    return min(timedelta(minutes=minutes), CONFIRM_WITHIN)


def _add(
    place: Place,
    act: Act,
    *,
    person: Person,
    at: datetime,
    source: str,
    purpose: Purpose = Purpose.MARKETING,
    channel: Channel = Channel.EMAIL,
    text_key: str | None = None,
    evidence: str | None = None,
    expires_at: datetime | None = None,
    actor_id: int | None = None,
    asked_at: datetime | None = None,
) -> None:
    place.facts.append(
        Fact(
            act=act,
            purpose=purpose,
            channel=channel,
            place=place,
            person=person,
            at=at,
            source=source,
            text_key=text_key,
            evidence=evidence,
            expires_at=expires_at,
            actor_id=actor_id,
            asked_at=asked_at,
        )
    )
