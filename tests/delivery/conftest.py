"""The engine on real servers: a sink that takes letters, and senders in this process."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.db import engine_of_a_sender
from crm.delivery.dispatch import Sender
from crm.delivery.states import Lane
from devtools.catcher import Sink
from tests.factories import a_clinic


@pytest.fixture(scope="session")
def one_sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def sink(one_sink: Sink) -> Sink:
    one_sink.clear()
    return one_sink


@pytest.fixture
def settings(settings: Settings, sink: Sink) -> Settings:
    return dataclasses.replace(settings, smtp_url=sink.url)


@pytest.fixture
def clinic(session: Session) -> None:
    a_clinic(session)


@pytest.fixture
def awake(session: Session) -> None:
    """A clinic without quiet hours."""
    clinic = a_clinic(session)
    clinic.quiet_until = clinic.quiet_from


@pytest.fixture
def a_sender(app: Flask, settings: Settings) -> Iterator[Callable[..., Sender]]:
    """``a_sender()`` is a sender of the bulk lane with a session of its own."""
    senders: list[Sender] = []
    engine = engine_of_a_sender(settings.database_url)

    def make(lane: Lane = Lane.BULK, *, size: int = 8, smtp_url: str | None = None) -> Sender:
        sender = Sender(
            session=Session(engine),
            settings=dataclasses.replace(settings, smtp_url=smtp_url or settings.smtp_url),
            lane=lane,
            now=clock.now,
            stopping=lambda: False,
            size=size,
        )
        senders.append(sender)
        return sender

    yield make
    for sender in senders:
        sender.close()
        sender.session.close()
    engine.dispose()
