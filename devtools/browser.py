"""The browser of the tests: Chromium from the machine's packages, never a download of our own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from devtools import shared
from devtools.terminal import working

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL_S = 600
VARIABLE = "CHROMIUM"
"""Names the program to the tests; unset where there is none."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=127.0.0.1",
]
"""How tests start it: works as root, and reaches nothing but this machine."""


def ready() -> dict[str, str]:
    """The variable that names the browser, installed first where that is allowed.

    Without one the browser's tests are left out, with a line that says so; under CI=true that is
    a failure.
    """
    found = find() or _install()
    if found:
        return {VARIABLE: str(found)}
    missing = "No Chromium here, so no browser tests: apt-get install chromium."
    if os.environ.get("CI") == "true":
        sys.exit(missing)
    print(missing, file=sys.stderr)
    return {}


def find() -> Path | None:
    """The first of the known names on PATH, or what CHROMIUM names."""
    named = os.environ.get(VARIABLE)
    for name in (named, *NAMES) if named else NAMES:
        path = shutil.which(name)
        if path:
            return Path(path)
    return None


def _install() -> Path | None:
    if not (shared.is_needed() and shutil.which("apt-get")):
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
    with working("Installing Chromium for the browser tests (about a minute)"):
        for command in (["apt-get", "update", "-qq"], install):
            try:
                subprocess.run(
                    command, env=environment, capture_output=True, timeout=INSTALL_S, check=True
                )
            except subprocess.SubprocessError:
                return None
    return find()
