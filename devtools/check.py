"""`dev.py check`: every check, each with its time; all are run, then the failures count."""

import subprocess
import sys
import time
from dataclasses import dataclass

from devtools import assembly, services
from devtools.paths import PYTHON, ROOT, VENV

TEMPLATES = ["templates", "devtools/catcher/templates"]


@dataclass(frozen=True)
class Step:
    """One check: a command that exits 0 where all is well."""

    name: str
    command: list[str]


def main(arguments: list[str]) -> int:
    """1 when anything was found; what was found is printed below its step."""
    if arguments:
        sys.exit("dev.py check takes no arguments.")
    assembly.ready()
    with services.temporary(is_durable=False) as variables:
        failed = [step.name for step in _steps() if not _passes(step, variables)]
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.")
    return 0


def _steps() -> list[Step]:
    python, scripts = str(PYTHON), VENV / "bin"
    return [
        Step("format", [python, "-m", "ruff", "format", "--check", "--quiet", "--diff", "."]),
        Step("lint", [python, "-m", "ruff", "check", "--quiet", "."]),
        Step("types", [python, "-m", "mypy"]),
        Step("import contracts", [str(scripts / "lint-imports")]),
        Step("templates", [str(scripts / "djlint"), "--lint", "--quiet", *TEMPLATES]),
        Step("migrations", [python, "-m", "flask", "--app", "wsgi", "crm", "migrations-check"]),
        Step("translations", [python, "-m", "devtools.translations"]),
    ]


def _passes(step: Step, variables: services.Variables) -> bool:
    began = time.monotonic()
    print(f"{step.name:<20}", end="", flush=True)
    done = subprocess.run(
        step.command,
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    is_well = done.returncode == 0
    print(f"{'ok' if is_well else 'FAILED':<8}{time.monotonic() - began:6.1f} s", flush=True)
    if not is_well:
        print(done.stdout, flush=True)
    return is_well
