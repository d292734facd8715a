import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from devtools.paths import ROOT
from tests.devtools.conftest import Checkout, is_soon

URLS = "import os; print(os.environ['DATABASE_URL']); print(os.environ['REDIS_URL'], flush=True)"
URLS_AND_WAIT = f"{URLS}; import time; time.sleep(600)"


def test_exec_brings_servers_that_outlive_a_kill_and_stops_them_after_the_last_user(
    bare_checkout: Checkout,
) -> None:
    killed = bare_checkout.start("exec", "python", "-c", URLS_AND_WAIT)
    assert killed.stdout is not None
    database, broker = (killed.stdout.readline().strip() for _ in range(2))
    with _connect(database) as connection:
        connection.execute("CREATE TABLE kept AS SELECT lower('ИВАНОВА') AS name")
    killed.kill()

    status, out, _ = bare_checkout.call("exec", "python", "-c", URLS)

    assert status == 0
    assert out.split() == [database, broker], "the servers of the killed one were adopted"
    with pytest.raises(psycopg.OperationalError):
        _connect(database)
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(broker).ping()

    again = bare_checkout.start("exec", "python", "-c", URLS_AND_WAIT)
    assert again.stdout is not None
    with _connect(again.stdout.readline().strip()) as connection:
        assert connection.execute("SELECT name FROM kept").fetchone() == ("иванова",)


def test_exec_gives_the_command_s_own_status(checkout: Checkout) -> None:
    assert checkout.call("exec", "sh", "-c", "exit 7")[0] == 7


def test_a_command_that_does_not_exist_is_one_sentence(checkout: Checkout) -> None:
    status, _, err = checkout.call("exec", "no-such-command")

    assert status == 1
    assert err == "dev.py cannot run 'no-such-command': No such file or directory.\n"


def test_a_killed_test_run_is_cleared_away_by_the_next(checkout: Checkout, tmp_path: Path) -> None:
    (checkout.folder / "test_sleeps.py").write_text(
        "import os, time\n"
        "def test_sleeps():\n"
        f"    open({str(tmp_path / 'place')!r}, 'w').write(os.environ['VEZHLIVO_PLACE'])\n"
        "    time.sleep(600)\n"
    )
    (checkout.folder / "test_passes.py").write_text("def test_passes(): pass\n")
    note = tmp_path / "place"
    killed = checkout.start("test", "test_sleeps.py")
    assert is_soon(lambda: note.exists() and note.read_text(), within_s=20)
    killed.kill()
    place = Path(note.read_text())
    assert place.exists()

    status, out, err = checkout.call("test", "-q", "test_passes.py")

    assert status == 0, out + err
    assert not place.exists()
    assert checkout.processes() == []


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (("ensurepip", "pip"), "Python here cannot make virtual environments: apt-get install"),
    ],
)
def test_without_the_means_to_make_an_environment_it_is_one_sentence(
    checkout: Checkout, tmp_path: Path, missing: tuple[str, ...], sentence: str
) -> None:
    (checkout.folder / ".venv").unlink()
    hiding = "".join(f"sys.modules[{name!r}] = None\n" for name in missing)
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{hiding}")

    done = subprocess.run(
        [Path(sys.base_prefix) / "bin" / "python3", "dev.py", "test"],
        cwd=checkout.folder,
        env=checkout.variables | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert len(done.stderr.splitlines()) == 1


def test_the_locks_name_no_host() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""))
