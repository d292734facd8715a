"""The pages of the catcher, for developers on this machine only."""

import datetime as dt
import threading

from flask import Flask, Response, abort, render_template, request
from werkzeug.serving import WSGIRequestHandler, make_server

from devtools.catcher import reading
from devtools.catcher.store import Letter, Store

PER_PAGE = 50
VIEWS = ("html", "text", "raw")
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; font-src data:;"
    " img-src data: http://127.0.0.1:* http://localhost:*;"
    " form-action 'none'; frame-ancestors 'self';"
    " sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""A letter may not run anything, and its pictures come from this machine or not at all."""


def create_app(store: Store) -> Flask:
    """Three GET routes over the store."""
    app = Flask(__name__)
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]  # else a web page could rebind to us
    app.jinja_env.filters["moment"] = _moment
    app.jinja_env.filters["subject"] = reading.subject

    @app.get("/")
    def letters() -> str:
        return render_template("letters.html", **_list(store))

    @app.get("/letters/<int:number>")
    def letter(number: int) -> str:
        found = _one(store, number)
        read = reading.read(found)
        view = request.args.get("view", "html" if read.html else "text")
        if view not in VIEWS:
            abort(404)
        return render_template(
            "letter.html", letter=found, read=read, view=view, views=VIEWS, **_list(store)
        )

    @app.get("/letters/<int:number>/html")
    def html(number: int) -> Response:
        content = reading.read(_one(store, number)).html or ""
        answer = Response(reading.framed(content), mimetype="text/html")
        answer.headers["Content-Security-Policy"] = LETTER_POLICY
        return answer

    @app.after_request
    def harden(answer: Response) -> Response:
        answer.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        if not request.path.startswith("/static/"):
            answer.headers["Cache-Control"] = "no-store"
        return answer

    return app


def serve(store: Store, *, host: str, port: int) -> None:
    """In a thread that ends with the process."""
    server = make_server(host, port, create_app(store), threaded=True, request_handler=_Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class _Silent(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """A line for each request would drown what the clinic says."""


def _list(store: Store) -> dict[str, object]:
    address = request.args.get("address", "").strip()[:254]
    before = request.args.get("before", type=int)
    found = store.newest(address=address, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return {
        "letters": shown,
        "address": address,
        "before": before,
        "older": shown[-1].id if len(found) > PER_PAGE else None,
        "count": store.count(),
    }


def _one(store: Store, number: int) -> Letter:
    return store.one(number) or abort(404)


def _moment(letter: Letter) -> str:
    received = dt.datetime.fromtimestamp(letter.received, tz=dt.UTC).astimezone()
    is_recent = dt.datetime.now(dt.UTC) - received < dt.timedelta(hours=20)
    return received.strftime("%H:%M:%S" if is_recent else "%d.%m. %H:%M")
