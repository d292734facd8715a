"""Chance drives the engine: whatever is interleaved, nothing is doubled, lost or sent after a stop.

And where the engine is broken on purpose, chance finds out.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as bounds
from hypothesis.errors import Flaky, FlakyFailure
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Select, create_engine, event, false, select, text

from crm.config import Settings
from crm.consent import gate
from crm.delivery import (
    crossing,
    dispatch,
    insist,
    look,
    recover,
    resend,
    service,
    voyage,
)
from crm.delivery.look import Look
from crm.delivery.models import Delivery
from crm.delivery.rules import Settled
from crm.delivery.states import DeliveryState, MailingState
from crm.mail.smtp import Relay
from tests.delivery.engines import Engines
from tests.delivery.interleaved import is_silent_after_a_pause, wait_for_no_lock


@pytest.fixture
def engines(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> type[Engines]:
    relays = [Relay.from_url(url) for url in settings.relay_urls]
    postgres = create_engine(settings.database_url)
    event.listen(postgres, "connect", wait_for_no_lock)
    for module, name, value in (
        (voyage, "LOOK_AGAIN_S", 0.0),
        (dispatch, "BARRED_S", 0.0),
        (insist, "AWAY_S", 0.0),
        (service, "RANGE_SIZE", 3),
        (gate, "BARRIER_MS", 10),
        (crossing, "is_silent", is_silent_after_a_pause),
    ):
        monkeypatch.setattr(module, name, value)
    here = {
        "settings": settings,
        "relay": relays[0],
        "postgres": postgres,
        "patches": monkeypatch,
    }
    return type("EnginesHere", (Engines,), here)


def test_chance_finds_no_order_of_things_that_doubles_or_loses_a_letter(
    engines: type[Engines],
) -> None:
    run_state_machine_as_test(engines, settings=_bounds(examples=20, steps=40))


def test_a_sender_taken_for_dead_takes_up_its_own_service_letter_once_more(
    engines: type[Engines],
) -> None:
    """Before it has noticed that the letter in its hands is no more its own."""
    world = engines()
    world.open(is_eager=False, one_a_day=False)
    world.remind(whom=0)
    serves = world.processes[2]
    for _ in range(3):
        serves.sail()  # it has just shown that it lives
    world.stand_in_the_gate(number=2)
    [fence] = recover.live(world.session)
    world._bury(fence, recover.live(world.session)[fence])
    for _ in range(3):
        serves.sail()
    world.nothing_wrong_was_seen()
    world.teardown()


@pytest.mark.long
def test_much_chance_finds_none_either(engines: type[Engines]) -> None:
    run_state_machine_as_test(engines, settings=_bounds(examples=1000, steps=80))


def _bounds(*, examples: int, steps: int) -> bounds:
    return bounds(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


def _lets_all_pass(*_: object, **__: object) -> None:
    """In the place of what refuses."""


def _never_fenced(*given: Any) -> Look:
    return replace(_SEEN(*given), fenced=False)


def _again_after_doubt(_purpose: object, _tries: int, *, at: datetime) -> Settled:
    return Settled(state=DeliveryState.QUEUED, retry_at=at)


def _whatever_became_of_them(mailing_id: int) -> Select[Any]:
    columns = (Delivery.address_id, Delivery.contact_id, Delivery.provider)
    return cast("Select[Any]", select(*columns).where(Delivery.mailing_id == mailing_id))


_SEEN = look._seen
_ALL_RUN = dict.fromkeys(MailingState, MailingState.RUNNING)
_STOP_ONE = text("""
    UPDATE mailings SET state = 'stopped', held_because = NULL, ended_at = :at
    WHERE id = :mailing_id RETURNING id
""")
SABOTAGES: dict[str, tuple[object, str, object]] = {
    "the barrier waits for nobody": (gate, "barrier", lambda _session: True),
    "no sender enters the gate": (gate, "ENTER", "SELECT 1"),
    "consent is not asked": (crossing, "refusal", _lets_all_pass),
    "a stopped mailing goes on": (look, "_STATES", _ALL_RUN),
    "a buried lease has no fence": (look, "_seen", _never_fenced),
    "what is in doubt is sent anew": (recover, "after_doubt", _again_after_doubt),
    "a dead sender's range goes with it": (recover, "give_back", _lets_all_pass),
    "a letter goes again as often as asked": (resend, "_went_again", lambda _mailing_id: false()),
    "what is not in doubt goes again": (resend, "_left", _whatever_became_of_them),
    "what is stopped goes again": (resend, "AT_REST", frozenset()),
    "what goes again is not stopped": (service, "_STOP_ALL", _STOP_ONE),
}  # fmt: skip
"""What is put in the place of what."""


@pytest.mark.long
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_chance_finds_out_that(
    engines: type[Engines], monkeypatch: pytest.MonkeyPatch, sabotage: str
) -> None:
    monkeypatch.setattr(*SABOTAGES[sabotage])
    bounds_of_a_search = bounds(_bounds(examples=600, steps=60), phases=[Phase.generate])
    with pytest.raises((AssertionError, Flaky)) as found:
        run_state_machine_as_test(engines, settings=bounds_of_a_search)
    assert _is_a_finding(found.value)


def _is_a_finding(fault: BaseException) -> bool:
    """Return whether the machine has seen something wrong, even if only once.

    Locks and the age of a look go by the real clock, so not every finding happens again.
    """
    if isinstance(fault, FlakyFailure):
        return all(isinstance(one, AssertionError) for one in fault.exceptions)
    return isinstance(fault, AssertionError) or isinstance(fault.__context__, AssertionError)
