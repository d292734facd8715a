"""People who opt out at the real site while things go wrong, and what they were told."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.config import Settings
from crm.consent.rules import Channel, Purpose
from crm.consent.tokens import Right, Unsubscribe, mint_unsubscribe, signer
from crm.contacts.models import Address
from crm.delivery.models import Delivery
from tests.delivery.processes import Site

PROMISED_S = 2.0
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Door:
    """A person and the token of the link in the letter."""

    address: str
    token: str


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to an opt-out."""

    address: str
    status: int
    took_s: float
    at_ns: int
    """Monotonic, once it was read."""


def doors(session: Session, settings: Settings) -> list[Door]:
    """Return everybody's link of the only mailing, in the order of its deliveries."""
    rows = session.execute(
        select(Delivery.id, Address.id, Address.value)
        .join(Address, Address.id == Delivery.address_id)
        .order_by(Delivery.id)
    ).all()
    session.rollback()
    return [
        door(settings, address_id, value or "", delivery_id=delivery_id)
        for delivery_id, address_id, value in rows
    ]


def door(settings: Settings, address_id: int, address: str, *, delivery_id: int) -> Door:
    by = signer(Right.UNSUBSCRIBE, settings.secret_keys)
    link = Unsubscribe(address_id, Purpose.MARKETING, Channel.EMAIL, delivery_id)
    return Door(address, mint_unsubscribe(by, link))


def opt_out(to: Site, door: Door) -> Told:
    began = time.monotonic()
    line = http.client.HTTPConnection("127.0.0.1", to.port, timeout=20)
    line.request(
        "POST",
        f"/u/{door.token}",
        body="List-Unsubscribe=One-Click",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    answer = line.getresponse()
    answer.read()
    line.close()
    at_ns = time.monotonic_ns()
    return Told(door.address, answer.status, at_ns / 1e9 - began, at_ns)


def wake_up(to: Site) -> None:
    """Let every process of the site have read its code before anybody's time is taken."""
    in_a_row, until = 0, time.monotonic() + 30
    while in_a_row < 12:
        began = time.monotonic()
        opt_out(to, Door("", "nobody"))
        in_a_row = in_a_row + 1 if time.monotonic() - began < 0.2 else 0
        assert time.monotonic() < until, "the site does not answer"


class Leaving(threading.Thread):
    """One person after another opts out, in no order, until the ``with`` block ends."""

    def __init__(self, to: Site, people: list[Door], *, seed: int = 1) -> None:
        super().__init__()
        self.to = to
        self.people = random.Random(seed).sample(people, len(people))
        self.told: list[Told] = []
        self.fault: BaseException | None = None
        self._over = threading.Event()

    def run(self) -> None:
        try:
            for door in self.people:
                self.told.append(opt_out(self.to, door))
                if self._over.wait(PAUSE_S):
                    break
        except BaseException as fault:
            self.fault = fault

    def __enter__(self) -> "Leaving":
        wake_up(self.to)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def check(self, dots: list[tuple[int, str]]) -> None:
        """Everybody was answered in time, and nobody written to after a 200."""
        if self.fault:
            raise self.fault
        statuses = Counter(one.status for one in self.told)
        assert statuses.keys() <= {200, 202, 503}, statuses
        assert any(one.status == 200 for one in self.told), "nobody could leave"
        slow = [(one.status, one.took_s) for one in self.told if one.took_s > PROMISED_S]
        assert slow == []
        assert late(self.told, dots) == []


Leave = Callable[..., Leaving]


def all_leave(to: Site, people: list[Door]) -> None:
    """One after another, each is told in time that it is done."""
    wake_up(to)
    told = [opt_out(to, door) for door in people]
    assert {one.status for one in told} == {200}
    assert max(one.took_s for one in told) <= PROMISED_S


def late(told: list[Told], dots: list[tuple[int, str]]) -> list[float]:
    """Return how many milliseconds after the 200 each late dot was written."""
    stopped = {one.address: one.at_ns for one in told if one.status == 200}
    return [(at - stopped[to]) / 1e6 for at, to in dots if at > stopped.get(to, at)]
