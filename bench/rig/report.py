"""Figures: shown round by round, as a table, as JSON, and in bench/README.md."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median

from bench.rig.options import Options

README = Path(__file__).parents[1] / "README.md"

Row = dict[str, float]


@dataclass(slots=True)
class Report:
    """The rounds of one benchmark. ``told`` stands under the table: sizes, splits, settings."""

    name: str
    options: Options
    rows: list[Row] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """A sentence for each figure that could not be measured."""

    def add(self, row: Row) -> None:
        """Take in one round and show it."""
        if not self.rows:
            print(_line(["round", *row]), flush=True)
        self.rows.append(row)
        print(_line([str(len(self.rows)), *map(_short, row.values())]), flush=True)

    def median(self, column: str) -> float:
        """Return the median over the rounds."""
        return median(row[column] for row in self.rows)

    def tell(self, sentence: str) -> None:
        """Show a line now, and keep it for the page."""
        self.told.append(sentence)
        print(sentence, flush=True)

    def end(self, figures: dict[str, float]) -> int:
        """Show the medians; return the exit status: 1 where a figure is missing."""
        print()
        for name, value in figures.items():
            print(f"{name:24}{_short(value):>12}")
        for sentence in self.missing:
            print(f"missing: {sentence}")
        if self.options.write:
            write(self.name, self._as_page(figures))
        if self.options.json:
            print(json.dumps(self._as_json(figures)), flush=True)
        return 1 if self.missing else 0

    def _as_page(self, figures: dict[str, float]) -> list[str]:
        cells = [f"| `{name}` | {_short(value)} |" for name, value in figures.items()]
        told = [f"- {sentence}" for sentence in self.told + self.missing]
        when = f"{today()}, {len(self.rows)} rounds of {self.options.letters:,} letters."
        return [when, "", "| figure | median |", "|---|---|", *cells, "", *told]

    def _as_json(self, figures: dict[str, float]) -> dict[str, object]:
        quick = {"quick": True} if self.options.quick else {}
        rounded = {name: float(f"{value:.4g}") for name, value in figures.items()}
        return {"bench": self.name, "rounds": len(self.rows), "figures": rounded, **quick}


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def write(name: str, lines: list[str]) -> None:
    """Replace what stands between the marks of this name in bench/README.md."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = README.read_text()
    between = re.compile(f"(?s){re.escape(begin)}.*?{re.escape(end)}")
    README.write_text(between.sub(lambda _: "\n".join([begin, "", *lines, "", end]), page))


def today() -> str:
    """Return the date as a page says it."""
    return f"{date.today():%d %B %Y}"  # noqa: DTZ011 - a person's calendar


def _line(cells: list[str]) -> str:
    return "".join(f"{cell:>{max(12, len(cell) + 2)}}" for cell in cells)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
