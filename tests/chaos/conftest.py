"""Real servers, and people to write to."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.delivery.models import Mailing
from tests.chaos.leaving import Leave, Leaving, doors
from tests.chaos.nursery import Nursery, nursery
from tests.conftest import settings_of
from tests.delivery.conftest import one_sink, settings, sink
from tests.delivery.processes import Site, site
from tests.factories import a_clinic, a_running_mailing, many_willing_contacts

__all__ = ["one_sink", "settings", "sink"]


@pytest.fixture
def campaign(session: Session) -> Callable[[int], Mailing]:
    """``campaign(500)`` runs, to so many willing people."""

    def launch(people: int) -> Mailing:
        a_clinic(session)
        many_willing_contacts(session, people, at=clock.now() - timedelta(days=1))
        mailing = a_running_mailing(session, at=clock.now())
        session.commit()
        return mailing

    return launch


@pytest.fixture(scope="module")
def to(one_database: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real site, of the database that each test finds empty."""
    url = one_database.url.render_as_string(hide_password=False)
    with site(settings_of(url, tmp_path_factory.mktemp("site"))) as started:
        yield started


@pytest.fixture
def leave(session: Session, settings: Settings, to: Site) -> Leave:
    """``with leave() as leaving``: the people of the mailing opt out at the site meanwhile."""
    return lambda seed=1: Leaving(to, doors(session, settings), seed=seed)


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    return tmp_path / "dots"


@pytest.fixture
def senders(settings: Settings, dots: Path) -> Iterator[Nursery]:
    with nursery(settings, dots) as started:
        yield started
