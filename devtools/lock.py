"""`dev.py lock`: the three locks, with a hash for every file and the name of no host."""

import shutil
import subprocess
import sys

from devtools.paths import ROOT
from devtools.terminal import working

RESOLVE = [
    "uv", "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11",
    "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate",
]  # fmt: skip
BUILD_TOOLS = "setuptools\nwheel\n"

RUN_TIME = "requirements.lock"
DEV = "requirements-dev.lock"
BUILD = "requirements-build.lock"


def main(arguments: list[str]) -> int:
    """Resolve anew; run time first, so that the others agree with it."""
    if arguments:
        sys.exit("dev.py lock takes no arguments.")
    if not shutil.which("uv"):
        sys.exit("dev.py lock needs uv, which nothing else does: pip install uv")
    with working("Resolving"):
        _resolve(["pyproject.toml", "-o", RUN_TIME])
        _resolve(["pyproject.toml", "--extra", "dev", "-c", RUN_TIME, "-o", DEV])
        _resolve(["-", "-c", RUN_TIME, "-o", BUILD], standard_input=BUILD_TOOLS)
    return 0


def _resolve(arguments: list[str], *, standard_input: str = "") -> None:
    command = [*RESOLVE, *arguments]
    done = subprocess.run(command, input=standard_input, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit("The locks could not be made; what uv said stands above.")
