"""What a sender did, seen by py-spy, which comes into an environment of its own."""

import subprocess
from collections import Counter
from pathlib import Path

from bench.rig.tools import packages

RATE = 250
"""Samples a second."""


def begin(pid: int, *, seconds: int, output: Path) -> subprocess.Popen[bytes]:
    """Watch a process from now on. Raises NotToBeHad."""
    spy = packages("py-spy", "py-spy") / "bin" / "py-spy"
    command = [str(spy), "record", "--pid", str(pid), "--duration", str(seconds)]
    command += ["--rate", str(RATE), "--format", "raw", "--output", str(output)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def hot_spots(recorded: Path, *, how_many: int = 15) -> list[tuple[str, float, float]]:
    """Return functions with the share of samples in themselves and in what they called."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in recorded.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(samples)
        whole.update(dict.fromkeys(frames, int(samples)))
    total = own.total() or 1
    return [(name, count / total, whole[name] / total) for name, count in own.most_common(how_many)]


def _function(frame: str) -> str:
    """`name (path:line)` without the line."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame
