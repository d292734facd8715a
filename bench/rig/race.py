"""The stretch between the first and the last letter that a sink has accepted."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.rig.smtp import Sink

LOOK_S = 0.005
SILENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """``letters`` were accepted in ``seconds``; the first ``wait_s`` after the look began."""

    letters: int
    seconds: float
    wait_s: float

    @property
    def rate(self) -> float:
        """Return letters a second."""
        return self.letters / self.seconds


def watched(
    sink: Sink, before: int, letters: int, *, seen: Callable[[int], None] = lambda count: None
) -> Stretch:
    """Watch the sink's counter go from ``before`` to ``before + letters``.

    ``seen`` is called with the number accepted so far whenever it has changed. What silence of
    SILENCE_S means is said in a sentence, as the end of the benchmark.
    """
    began = moved = time.perf_counter()
    first: tuple[float, int] | None = None
    last = 0
    while last < letters:
        time.sleep(LOOK_S)
        now, count = time.perf_counter(), sink.letters() - before
        if count != last:
            first = first or (now, count)
            moved, last = now, count
            seen(count)
        elif now - moved > SILENCE_S:
            raise SystemExit(f"{count} of {letters} letters came; none since {SILENCE_S:.0f} s.")
    if first is None or last > letters:
        raise SystemExit(f"The sink took {last} letters; {letters} were to come.")
    return Stretch(letters - first[1], max(moved - first[0], LOOK_S), first[0] - began)
