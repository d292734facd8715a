"""Rounds of other designs: the naive one, and django-post_office."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, text

from bench.peers import naive
from bench.rig.letter import for_other_designs, promotion
from bench.rig.processes import started
from bench.rig.race import Stretch, watched
from bench.rig.smtp import Sink
from bench.rig.tools import NotToBeHad, packages
from crm.config import Settings
from devtools.paths import ROOT
from devtools.run import AS_ROOT, QUIET
from devtools.terminal import working

PROCESSES = 2
WARM_UP = 50
DATABASE = "post_office"
PACKAGES = ("django-post-office==3.12.0", "psycopg[binary]")


@contextlib.contextmanager
def letter_file(settings: Settings) -> Iterator[Path]:
    """A file with our letter as templates that the others understand."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "letter.json"
        path.write_text(json.dumps(for_other_designs(promotion(settings))))
        yield path


def naive_round(sink: Sink, letter: Path, *, letters: int) -> float:
    """Return its rate: from the first task's publishing to the last letter's acceptance."""
    naive.make(os.environ["DATABASE_URL"], letters=letters + WARM_UP)
    variables = {**os.environ, "SMTP_URL": sink.url, "LETTER": str(letter)}
    celery = [sys.executable, "-W", AS_ROOT, "-m", "celery", "--quiet", "-A", "bench.peers.naive"]
    worker = [*celery, "worker", "-Q", naive.QUEUE, "-c", str(PROCESSES), *QUIET]
    with started(worker, variables, output=letter.with_name("naive.log")):
        _naive_stretch(sink, range(letters + 1, letters + WARM_UP + 1))
        with working("The naive design"):
            stretch = _naive_stretch(sink, range(1, letters + 1))
    return letters / (stretch.wait_s + stretch.seconds)


def _naive_stretch(sink: Sink, numbers: range) -> Stretch:
    before = sink.letters()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.peers.publish", str(numbers.start), str(numbers.stop)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    ):
        return watched(sink, before, len(numbers))


def post_office_round(sink: Sink, letter: Path, engine: Engine, *, letters: int) -> float:
    """Return its rate between its first and its last letter. Raises NotToBeHad."""
    python = str(packages("post-office", *PACKAGES) / "bin" / "python")
    url = engine.url.set(database=DATABASE, drivername="postgresql")
    variables = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "bench.peers.post_office.settings",
        "PEER_DATABASE_URL": url.render_as_string(hide_password=False),
        "PYTHONPATH": str(ROOT),
        "SMTP_URL": sink.url,
    }
    django = [python, "-m", "django"]
    with working("Filling django-post_office's queue"):
        _database(engine)
        _must([*django, "migrate", "--verbosity", "0"], variables)
        fill = [python, "-m", "bench.peers.post_office.fill", str(letters), str(letter)]
        _must(fill, variables)
    before = sink.letters()
    command = [*django, "send_queued_mail", "--processes", str(PROCESSES)]
    with (
        working("django-post_office"),
        started(command, variables, output=letter.with_name("post_office.log")),
    ):
        return watched(sink, before, letters).rate


def _database(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        known = "SELECT 1 FROM pg_database WHERE datname = :name"
        if connection.scalar(text(known), {"name": DATABASE}) is None:
            connection.execute(text(f"CREATE DATABASE {DATABASE}"))


def _must(command: list[str], variables: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise NotToBeHad(f"django-post_office does not run here: {last[:200]}")
