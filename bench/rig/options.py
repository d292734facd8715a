"""The command line that all benchmarks share."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

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
    flags: frozenset[str]
    """Those of the benchmark's own that were given."""


def asked(
    name: str,
    doc: str,
    *,
    letters: int,
    quick_letters: int,
    minutes: str,
    flags: Mapping[str, str] = MappingProxyType({}),
) -> Options:
    """Return the options of the command line.

    Args:
        name: of the benchmark.
        doc: its docstring.
        letters: of a mailing, unless told otherwise.
        quick_letters: the same for ``--quick``.
        minutes: how long it takes, in words.
        flags: more of them, with what each does.

    """
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
    for flag, does in flags.items():
        parser.add_argument(f"--{flag}", action="store_true", help=does)
    told = parser.parse_args()
    return Options(
        rounds=told.rounds or (QUICK_ROUNDS if told.quick else 5),
        letters=told.letters or (quick_letters if told.quick else letters),
        quick=told.quick,
        json=told.json,
        write=told.write,
        flags=frozenset(flag for flag in flags if getattr(told, flag)),
    )
