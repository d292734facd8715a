"""Processes started for a benchmark, ended with it, and what they cost."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from devtools.paths import ROOT

END_S = 15.0
TICK = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def started(
    command: list[str], variables: dict[str, str], *, output: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own; its output goes to ``output`` or to our terminal."""
    with contextlib.ExitStack() as files:
        sink = files.enter_context(output.open("wb")) if output else None
        process = subprocess.Popen(
            command,
            env=variables,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT if sink else None,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all it started, kindly first."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(what: str, come_true: Callable[[], bool], *, timeout_s: float) -> None:
    """Wait until ``come_true`` says so; a sentence ends the benchmark where it never does."""
    until = time.monotonic() + timeout_s
    while not come_true():
        if time.monotonic() > until:
            raise SystemExit(f"Waited {timeout_s:.0f} s in vain for {what}.")
        time.sleep(0.05)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found, parents = [pid], _parents()
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def children(pid: int) -> list[int]:
    """Return the processes it has started and that live."""
    return [child for child, parent in _parents().items() if parent == pid]


def cpu_s(pids: list[int]) -> float:
    """Return the processor time used by these processes and those they have buried."""
    return sum(sum(map(int, _stat(pid)[11:15])) for pid in pids) / TICK


def peak_rss_mb(pid: int) -> float:
    """Return the most memory a process ever had, in MB, shared pages included."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM:") / 1000


def pss_mb(pid: int) -> float:
    """Return a process's fair share of the memory it has now, in MB."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") / 1000


def _kilobytes(path: Path, name: str) -> float:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1.024
    raise SystemExit(f"{path} does not tell {name}: benchmarks need Linux.")


def _parents() -> dict[int, int]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            found[int(folder.name)] = int(fields[1])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat after the name, which may hold blanks; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
