import json
from pathlib import Path

import pytest
from flask import Flask

from crm.web.assets import AssetsMissing, asset


def test_a_built_file_is_found_by_its_plain_name(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    manifest = tmp_path / "build" / "manifest.json"
    manifest.write_text(json.dumps({"admin.css": "admin-AAAA.css"}))
    app.static_folder = str(tmp_path)
    with app.test_request_context():
        assert asset("admin.css") == "/static/build/admin-AAAA.css"


def test_a_name_that_the_build_does_not_know_is_said_at_once(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "manifest.json").write_text('{"admin.css": "admin-AAAA.css"}')
    app.static_folder = str(tmp_path)
    with app.test_request_context(), pytest.raises(AssetsMissing, match=r"editor\.js"):
        asset("editor.js")


def test_without_a_build_the_message_says_what_to_run(app: Flask, tmp_path: Path) -> None:
    app.static_folder = str(tmp_path)
    app.testing = False
    with app.test_request_context(), pytest.raises(AssetsMissing, match=r"devtools\.assets"):
        asset("admin.css")


def test_tests_without_a_browser_need_no_build(app: Flask, tmp_path: Path) -> None:
    app.static_folder = str(tmp_path)
    with app.test_request_context():
        assert asset("admin.css") == "/static/build/admin.css"
