"""What the demo is made of before it becomes rows: people, places to reach them, and facts.

Everything has its id from the start, because facts name letters and letters name facts.
"""

from dataclasses import dataclass, field
from datetime import datetime

from crm.consent.rules import Act, Channel, Purpose, Standing, fold
from crm.contacts.models import Category, Kind
from crm.demo.names import Called


@dataclass(slots=True, kw_only=True, eq=False)
class Fact:
    """One event of the ledger to be. ``evidence`` names what kind of proof lies beside it."""

    act: Act
    purpose: Purpose
    channel: Channel
    place: "Place"
    at: datetime
    source: str
    person: "Person | None" = None
    text_key: str | None = None
    evidence: str | None = None
    expires_at: datetime | None = None
    delivery_id: int | None = None
    actor_id: int | None = None
    asked_at: datetime | None = None
    """Of a confirmation: when the text was shown that it confirms."""
    id: int = 0

    @property
    def shown_at(self) -> datetime:
        """Return when the text in question was on the screen."""
        return self.asked_at or self.at


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """An address to be."""

    kind: Kind
    value: str
    display: str
    provider: str
    since: datetime
    people: "list[Person]" = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    blocked_at: datetime | None = None
    id: int = 0

    def standing(self, purpose: Purpose, channel: Channel, *, at: datetime) -> Standing:
        """Return where the place stood at ``at``, folded from its facts."""
        found = Standing()
        for fact in self.facts:
            if (fact.purpose, fact.channel) == (purpose, channel) and fact.at <= at:
                found = fold(found, fact.act, at=fact.at, expires_at=fact.expires_at)
        return found


@dataclass(slots=True, kw_only=True, eq=False)
class Person:
    """A contact to be."""

    called: Called
    category: Category
    source: str
    at: datetime
    lang: str = "ru"
    note: str = ""
    created_by: int | None = None
    email: Place | None = None
    phone: Place | None = None
    ip: str = ""
    agent: str = ""
    id: int = 0


@dataclass(slots=True, kw_only=True)
class World:
    """Everybody, and everything that was ever said."""

    people: list[Person] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def facts(self) -> list[Fact]:
        """Return all facts in the order in which they happened."""
        found = [fact for place in self.places for fact in place.facts]
        return sorted(found, key=lambda fact: (fact.at, fact.place.id))

    def number(self) -> None:
        """Give people and places their ids in the order in which they came."""
        self.people.sort(key=lambda person: person.at)
        self.places.sort(key=lambda place: place.since)
        for id_, person in enumerate(self.people, 1):
            person.id = id_
        for id_, place in enumerate(self.places, 1):
            place.id = id_
