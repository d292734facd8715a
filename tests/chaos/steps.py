"""Named steps of a sender, at which it can be made to stumble.

Functions of the real product are wrapped, in the process of a test and nowhere else.
"""

from collections.abc import Callable
from typing import Any

from crm.delivery import lease, look, window
from crm.delivery.crossing import Crossing
from crm.delivery.dispatch import Sender
from crm.delivery.holding import Holding
from crm.mail.smtp import Fleet, Kind
from crm.safekeeping.journal import Journal

Stumble = Callable[[], None]
When = Callable[[Any, tuple[Any, ...]], bool]
"""Whether a call counts, by what it returned and was given."""


def _before(owner: object, name: str, stumble: Stumble) -> None:
    real = getattr(owner, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        stumble()
        return real(*given, **named)

    setattr(owner, name, wrapped)


def _after(owner: object, name: str, stumble: Stumble, counts: When) -> None:
    real = getattr(owner, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        returned = real(*given, **named)
        if counts(returned, given):
            stumble()
        return returned

    setattr(owner, name, wrapped)


def _something(returned: Any, _given: tuple[Any, ...]) -> bool:
    return bool(returned)


def _anything(_returned: Any, _given: tuple[Any, ...]) -> bool:
    return True


def _results_given(_returned: Any, given: tuple[Any, ...]) -> bool:
    return bool(given[2])


def _accepted(_returned: Any, given: tuple[Any, ...]) -> bool:
    return bool(given[2].kind is Kind.ACCEPTED)


def _nothing_left(_returned: Any, given: tuple[Any, ...]) -> bool:
    return bool(given[0].ended)


STEPS: dict[str, Callable[[Stumble], None]] = {
    "before the lease": lambda stumble: _before(lease, "take_range", stumble),
    "the lease is not committed": lambda stumble: _after(lease, "take_range", stumble, _something),
    "after the lease": lambda stumble: _before(Sender, "_errand", stumble),
    "the intent is not committed": lambda stumble: _after(window, "intend", stumble, _something),
    "after the intent": lambda stumble: _after(Holding, "advance", stumble, _something),
    "after the journal": lambda stumble: _after(Journal, "handing", stumble, _anything),
    "before the gate": lambda stumble: _before(Crossing, "pass_gate", stumble),
    "inside the gate": lambda stumble: _after(look, "enter_and_look", stumble, _something),
    "before a dot": lambda stumble: _before(Fleet, "dot", stumble),
    "after a dot": lambda stumble: _after(Fleet, "dot", stumble, _something),
    "after 250": lambda stumble: _after(Crossing, "_conclude", stumble, _accepted),
    "the results are not committed": lambda stumble: _after(
        window, "write", stumble, _results_given
    ),
    "after the end of a lease": lambda stumble: _after(Holding, "advance", stumble, _nothing_left),
}
NO_LEASE = {"before the lease", "the lease is not committed", "after the end of a lease"}
"""Steps at which a sender of one lease holds none."""
NOTHING_IN_DOUBT = {
    "before the lease",
    "the lease is not committed",
    "after the lease",
    "after the end of a lease",
}
"""Steps at which a sender of one lease, killed the first time it gets there, leaves no letter in
doubt."""
