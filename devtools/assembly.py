"""What is built from sources and never committed: the assets, the compiled translations."""

import hashlib
import subprocess
import sys
from pathlib import Path

from devtools import environment
from devtools.files import locked
from devtools.paths import PYTHON, ROOT, VENV
from devtools.terminal import working

BUILD = ROOT / "crm" / "static" / "build"
STAMP = BUILD / "sources.sha256"
TRANSLATIONS = ROOT / "crm" / "translations"
ASSET_SOURCES = (
    "assets/**/*",
    "templates/**/*.html",  # they name the icons that go into the sprite
    "package.json",
    "package-lock.json",
    "devtools/assets.py",
)


def ready() -> None:
    """Build what is older than its sources; writes nothing where all is fresh."""
    if _assets_are_stale() or _stale_catalogs():
        with locked(VENV / "assembly.lock"):
            if _assets_are_stale():
                _build_assets()
            _compile(_stale_catalogs())


def _build_assets() -> None:
    with working("Building the assets"):
        _run(str(PYTHON), "-m", "devtools.assets")
    STAMP.write_text(_fingerprint())


def _assets_are_stale() -> bool:
    return not STAMP.exists() or STAMP.read_text() != _fingerprint()


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for pattern in ASSET_SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and "node_modules" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _stale_catalogs() -> list[Path]:
    return [po for po in TRANSLATIONS.glob("*/LC_MESSAGES/*.po") if _is_stale(po)]


def _is_stale(po: Path) -> bool:
    compiled = po.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime < po.stat().st_mtime


def _compile(catalogs: list[Path]) -> None:
    for po in catalogs:
        locale = po.parents[1].name
        _run(
            str(VENV / "bin" / "pybabel"), "compile", "--input-file", str(po),
            "--output-file", str(po.with_suffix(".mo")), "--locale", locale, "--domain", po.stem,
        )  # fmt: skip


def _run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env=environment.variables(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
        sys.exit(f"Failed: {Path(command[0]).name} {' '.join(command[1:4])}")
