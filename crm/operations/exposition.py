"""Prometheus' text format, version 0.0.4: what /metrics answers with.

Written by hand: every figure is read from the database at each scrape, because several web
processes answer and the workers are others still, so a registry of counters would stand idle.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "vezhlivo_"


@dataclass(frozen=True, slots=True)
class Sample:
    """A number, and what tells it from others of its metric."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A name without our prefix, a kind, a sentence, and its samples."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Iterable[Sample]


def written(metrics: Iterable[Metric]) -> str:
    """Return the metrics as text.

    >>> print(written([Metric("beds", "gauge", "Free.", [Sample(3, {"ward": "a"})])]), end="")
    # HELP vezhlivo_beds Free.
    # TYPE vezhlivo_beds gauge
    vezhlivo_beds{ward="a"} 3
    """
    return "".join(f"{line}\n" for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    name = PREFIX + metric.name
    yield f"# HELP {name} {_escaped(metric.help)}"
    yield f"# TYPE {name} {metric.kind}"
    for sample in metric.samples:
        yield f"{name}{_labels(sample.labels)} {sample.value:.15g}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    quoted = (f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items())
    return "{" + ",".join(quoted) + "}"


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text
