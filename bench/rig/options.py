"""The command line that all benchmarks share."""

import argparse
from dataclasses import dataclass
from pathlib import Path

QUICK_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one run was asked for."""

    rounds: int
    letters: int
    quick: bool
    json: bool
    write: bool
    """Put the figures into bench/README.md."""
    profile: Path | None
    """Where py-spy writes what a sender did, in its raw format."""


def asked(name: str, doc: str, *, letters: int, quick_letters: int, minutes: str) -> Options:
    """Return the options of the command line; ``doc`` is the benchmark's own docstring."""
    parser = argparse.ArgumentParser(
        prog=f"dev.py bench {name}",
        description=doc,
        epilog=f"Takes about {minutes} on two cores; --quick takes one or two.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, help="5, unless told otherwise")
    parser.add_argument("--letters", type=int, help=f"of a mailing: {letters}")
    parser.add_argument("--quick", action="store_true", help="few and small rounds, for trying")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--write", action="store_true", help="put the figures into bench/README.md")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="of a sender, by py-spy")
    told = parser.parse_args()
    return Options(
        rounds=told.rounds or (QUICK_ROUNDS if told.quick else 5),
        letters=told.letters or (quick_letters if told.quick else letters),
        quick=told.quick,
        json=told.json,
        write=told.write,
        profile=told.profile,
    )
