"""The site with a clock that a story may put wrong: ``gunicorn tests.chaos.jumping:app``."""

from datetime import UTC, datetime

from crm import clock
from crm.app import create_app
from crm.config import from_environ
from tests.chaos.wrong import wrong_by

_settings = from_environ()
clock.now = lambda: datetime.now(UTC) + wrong_by(_settings.state_dir)
app = create_app(_settings)
