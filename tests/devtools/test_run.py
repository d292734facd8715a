import os
import re
import signal
import socket
import urllib.request

import pytest

from devtools import ports
from tests.devtools.conftest import Checkout

PROGRAMS = 5


def test_a_second_start_says_where_the_first_is_and_harms_nothing(checkout: Checkout) -> None:
    first = checkout.running()

    status, _, err = checkout.call("run")

    assert status == 1
    assert err == f"Already running here, as process {first.pid}.\n"
    assert first.poll() is None
    assert len(checkout.processes()) >= PROGRAMS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_a_few_seconds(
    checkout: Checkout, number: signal.Signals
) -> None:
    run = checkout.running()

    run.send_signal(number)
    run.communicate(timeout=9)

    assert run.returncode == 128 + number
    assert checkout.processes() == []
    assert ports.is_free(int(checkout.variables["PORT"]))


def test_after_a_killed_supervisor_the_next_run_ends_what_it_left(checkout: Checkout) -> None:
    killed = checkout.running()
    left = set(checkout.processes())
    killed.kill()
    killed.wait()
    assert set(checkout.processes()) == left

    checkout.running()

    assert left.isdisjoint(checkout.processes())
    with urllib.request.urlopen(f"http://127.0.0.1:{checkout.variables['PORT']}/") as answer:
        assert answer.status == 200


def test_when_one_program_dies_the_rest_is_stopped_and_it_is_named(checkout: Checkout) -> None:
    run = checkout.running()
    beat = next(pid for pid in checkout.processes() if "beat" in _arguments(pid))

    os.kill(beat, signal.SIGKILL)
    _, err = run.communicate(timeout=15)

    assert run.returncode == 1
    assert err.splitlines()[-1] == "Stopped, because beat ended with status -9."
    assert checkout.processes() == []


def test_a_taken_port_is_one_sentence(checkout: Checkout) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = checkout.variables["PORT"] = str(other.getsockname()[1])

        status, _, err = checkout.call("run")

    assert status == 1
    assert re.fullmatch(rf"Port {port} is taken [^\n]*\n", err)
    assert checkout.processes() == []


def test_a_folder_that_cannot_be_written_is_one_sentence(checkout: Checkout) -> None:
    checkout.var.symlink_to("/proc/nothing-can-be-made-here")

    status, _, err = checkout.call("run")

    assert status == 1
    assert re.fullmatch(r"\S+ cannot be written by this user[^\n]*\n", err)


def _arguments(pid: int) -> list[str]:
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")
