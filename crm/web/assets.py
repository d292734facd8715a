"""Where built files are: ``asset('admin.css')`` gives the address with the hash in its name."""

import json
from pathlib import Path

from flask import Flask, current_app, url_for

HINT = "The assets are not built: run `python -m devtools.assets`."


class AssetsMissing(RuntimeError):  # noqa: N818 - reads as what happened
    """The manifest is absent or does not name the file; the message says what to run."""


def init(app: Flask) -> None:
    """Make ``asset`` known to templates."""
    app.extensions["crm.assets"] = {}
    app.add_template_global(asset)


def asset(name: str) -> str:
    """Return the address of a built file.

    Under test, without a build, the plain name serves: only a browser would notice.

    Raises:
        AssetsMissing: nothing is built, or not this file.

    """
    built = _manifest()
    if name not in built:
        if not current_app.testing or built:
            raise AssetsMissing(f"{name}: {HINT}")
        return url_for("static", filename=f"build/{name}")
    return url_for("static", filename=f"build/{built[name]}")


def _manifest() -> dict[str, str]:
    path = Path(current_app.static_folder or "") / "build" / "manifest.json"
    try:
        written = path.stat().st_mtime_ns
    except FileNotFoundError:
        return {}
    known: dict[int, dict[str, str]] = current_app.extensions["crm.assets"]
    if written not in known:
        known.clear()
        known[written] = json.loads(path.read_text())
    return known[written]
