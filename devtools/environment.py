"""The virtual environment: made from the hashed locks, renewed when they change.

Two steps, so that no unhashed byte is ever run: what exists as a source archive only (SOURCES) has
to be built, so its build tools are installed first, from their own lock, and pip is told to build
with those (`--no-build-isolation`) instead of fetching whatever setuptools is newest.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from devtools.files import locked
from devtools.paths import PYTHON, ROOT, VENV
from devtools.terminal import working

BUILD_LOCK = ROOT / "requirements-build.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
STAMP = VENV / "locks.sha256"
WHEELS = ["--only-binary", ":all:"]
SOURCES = "flask-principal,dkimpy"
"""They come as source only; the build lock has what they are built with."""
WHEELS_BUT_FEW = [*WHEELS, "--no-binary", SOURCES, "--use-pep517", "--no-build-isolation"]


def enter() -> None:
    """Go on inside the environment: does not return when it was outside."""
    if Path(sys.prefix) == VENV:
        return
    wanted = _fingerprint()
    if not _is(wanted):
        if not os.access(VENV if VENV.exists() else ROOT, os.W_OK):
            sys.exit(f"{ROOT} cannot be written by this user: copy the project to where it can be.")
        with locked(ROOT):
            if not _is(wanted):
                _install()
                STAMP.write_text(wanted)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])  # noqa: S606 - there is no shell to want


def variables() -> dict[str, str]:
    """This process's environment with the virtual one in front, for every process started here."""
    return {
        **os.environ,
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(VENV),
        "PYTHONUNBUFFERED": "1",
    }


def _fingerprint() -> str:
    parts = [BUILD_LOCK.read_bytes(), DEV_LOCK.read_bytes(), sys.version[:4].encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _is(wanted: str) -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted


def _install() -> None:
    pip = _pip()
    with working("Installing the build tools"):
        _run([*pip, *WHEELS, "-r", str(BUILD_LOCK)])
    with working("Installing the packages (about half a minute)"):
        _run([*pip, *WHEELS_BUT_FEW, "-r", str(DEV_LOCK)])


def _pip() -> list[str]:
    """`pip install` into the environment, which is made anew where it is not usable."""
    options = ["--disable-pip-version-check", "--quiet", "install", "--require-hashes"]
    inside = [str(PYTHON), "-m", "pip"]
    outside = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    for existing in (inside, outside):
        if PYTHON.exists() and _works([*existing, "--version"]):
            return [*existing, *options]
    shutil.rmtree(VENV, ignore_errors=True)
    make = [sys.executable, "-m", "venv", str(VENV)]
    if importlib.util.find_spec("ensurepip"):
        with working("Making .venv"):
            _run(make)
        return [*inside, *options]
    if importlib.util.find_spec("pip"):
        _run([*make, "--without-pip"])
        return [*outside, *options]
    sys.exit("Python here cannot make virtual environments: apt-get install python3-venv")


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, check=False
    )
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        sys.exit(f"The environment could not be made: {' '.join(errors)[:400]}")
