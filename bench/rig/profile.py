"""What a sender does, seen by py-spy, which comes into an environment of its own."""

import re
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.rig.tools import packages

RATE = 250
"""Samples a second."""
PLACE = re.compile(r"^(?P<name>.*) \((?P<path>.*?)(:\d+)?\)$")
FUNCTIONS = 12
AREAS = 8


def table(pid: int, *, seconds: int) -> list[str]:
    """Watch a process for so long; return tables of where its time went, as Markdown.

    Raises:
        NotToBeHad: there is no py-spy for this machine.

    """
    spy = packages("py-spy", "py-spy") / "bin" / "py-spy"
    with TemporaryDirectory() as folder:
        output = Path(folder) / "stacks"
        command = [str(spy), "record", "--pid", str(pid), "--duration", str(seconds)]
        command += ["--rate", str(RATE), "--format", "raw", "--output", str(output)]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return _tables(output.read_text())


def _tables(stacks: str) -> list[str]:
    areas: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        frame = stack.rpartition(";")[2]
        found = PLACE.match(frame)
        name, path = (found["name"], found["path"]) if found else (frame, frame)
        areas[_area(path)] += int(samples)
        functions[f"`{name}` in {path}"] += int(samples)
    return [
        *_rows("where", areas.most_common(AREAS), areas.total()),
        "",
        *_rows("function", functions.most_common(FUNCTIONS), functions.total()),
    ]


def _rows(head: str, counted: list[tuple[str, int]], total: int) -> list[str]:
    rows = [f"| {name} | {count / total:.1%} |" for name, count in counted]
    return [f"| {head} | share of samples |", "|---|---|", *rows]


def _area(path: str) -> str:
    """Return the package; of ours the feature too."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "crm" else parts[0]
