from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web import gallery


@pytest.fixture
def app() -> Flask:
    return gallery.build()


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as asking:
        yield asking
