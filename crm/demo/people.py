"""Two thousand invented people and how they can be reached."""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from crm.contacts.models import Category, Kind
from crm.demo.names import Called, invent, mailbox, relative
from crm.demo.world import Person, Place, World

COUNT: Final = 2_000
YEARS: Final = timedelta(days=728)
_CLIMB: Final = 1.4
"""Above 1 there are more of them in late months than in early ones."""
_HOSTS: Final = (
    (38, "pochta.example", "mailru"),
    (30, "yashchik.example", "yandex"),
    (16, "pismo.example", "gmail"),
    (6, "vzglyad.example", "microsoft"),
    (4, "neva-mail.example", "other"),
    (3, "severnaya-verf.example", "other"),
    (3, "litsey.test", "other"),
)
"""Weight, host, and the group a host of this kind would be in: no letter leaves for ``.example``,
but a mailing is cut into ranges by provider, and that should be seen."""
_UNASSIGNED: Final = ("943", "944", "945", "946", "947", "948", "949", "972", "973", "974", "976")
"""Mobile codes given to no operator."""
_AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
)
_NETS: Final = ("192.0.2", "198.51.100", "203.0.113")
_NOTES: Final = (
    "Просит звонить после 18:00.",
    "Удобнее по электронной почте.",
    "Записывает всю семью.",
    "Не звонить в выходные.",
    "Предпочитает утренние часы.",
    "Приезжает из Выборга, нужны поздние часы.",
)
_BY_HAND: Final = (("desk", 0.12), ("phone", 0.08), ("paper", 0.05))


def gather(rng: Random, *, staff_id: int, at: datetime) -> World:
    """Return everybody, numbered, with addresses and nothing said yet."""
    world = World()
    taken: set[str] = set()
    known: set[Called] = set()
    while len(world.people) < COUNT:
        called = invent(rng)
        if called in known:
            continue
        known.add(called)
        person = _person(rng, called, staff_id=staff_id, at=at)
        _reach(rng, world, taken, person)
        if person.email and rng.random() < 0.03 and len(world.people) < COUNT:
            _add_relative(rng, world, taken, person, staff_id=staff_id, at=at)
    world.number()
    return world


def daytime(rng: Random, moment: datetime) -> datetime:
    """Return a moment of the same day when people are awake in Saint Petersburg."""
    seconds = int(rng.triangular(8.2, 22.6, 12.5) * 3600) - 3 * 3600 + rng.random()
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(seconds=seconds)


def _person(rng: Random, called: Called, *, staff_id: int, at: datetime) -> Person:
    came = daytime(rng, at - YEARS * rng.random() ** _CLIMB)
    if came >= at:
        came -= timedelta(days=1)
    source, chance = "", rng.random()
    for name, share in _BY_HAND:
        if not source and chance < share:
            source = name
        chance -= share
    by_hand = bool(source)
    return Person(
        called=called,
        category=_category(rng) if by_hand else Category.SITE_USER,
        source=source or ("form:appointment" if rng.random() < 0.72 else "form:question"),
        at=came,
        lang="ru" if _is_russian(called) else "en",
        note=rng.choice(_NOTES) if rng.random() < 0.04 else "",
        created_by=staff_id if by_hand else None,
        ip=f"{rng.choice(_NETS)}.{rng.randint(1, 254)}",
        agent=rng.choice(_AGENTS),
    )


def _is_russian(called: Called) -> bool:
    return "а" <= called.first[0].lower() <= "я"


def _category(rng: Random) -> Category:
    return Category.REPRESENTATIVE if rng.random() < 0.1 else Category.PATIENT


def _reach(rng: Random, world: World, taken: set[str], person: Person) -> None:
    has_email = rng.random() < (0.96 if person.created_by is None else 0.7)
    if has_email:
        person.email = _email(rng, world, taken, person)
    if not has_email or rng.random() < 0.72:
        person.phone = _phone(rng, world, taken, person)
    world.people.append(person)


def _add_relative(
    rng: Random, world: World, taken: set[str], of: Person, *, staff_id: int, at: datetime
) -> None:
    """Add somebody who gave the same mailbox: a family shares one."""
    other = _person(rng, relative(rng, of.called), staff_id=staff_id, at=at)
    if other.at < of.at:
        other.at = min(of.at + timedelta(days=rng.randint(1, 200)), at - timedelta(hours=3))
        other.at = max(other.at, of.at)
    other.email = of.email
    if other.email:
        other.email.people.append(other)
    if rng.random() < 0.5:
        other.phone = _phone(rng, world, taken, other)
    world.people.append(other)


def _email(rng: Random, world: World, taken: set[str], person: Person) -> Place:
    weights = [weight for weight, _host, _provider in _HOSTS]
    while True:
        _weight, host, provider = rng.choices(_HOSTS, weights)[0]
        value = f"{mailbox(rng, person.called)}@{host}"
        if value not in taken:
            return _place(world, taken, person, Kind.EMAIL, value, value, provider)


def _phone(rng: Random, world: World, taken: set[str], person: Person) -> Place:
    while True:
        code, rest = rng.choice(_UNASSIGNED), f"{rng.randint(0, 9_999_999):07}"
        value = f"+7{code}{rest}"
        if value not in taken:
            display = f"+7 {code} {rest[:3]}-{rest[3:5]}-{rest[5:]}"
            return _place(world, taken, person, Kind.PHONE, value, display, "other")


def _place(
    world: World,
    taken: set[str],
    person: Person,
    kind: Kind,
    value: str,
    display: str,
    provider: str,
) -> Place:
    taken.add(value)
    place = Place(kind=kind, value=value, display=display, provider=provider, since=person.at)
    place.people.append(person)
    world.places.append(place)
    return place
