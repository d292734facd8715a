"""`python -m devtools.site --port PORT --clinic URL`: until SIGTERM or Ctrl-C."""

import argparse
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
HERE = Path(__file__).parent
PAGES = {"/": ("appointment", "Запись на приём"), "/vopros": ("question", "Задать вопрос")}
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src {clinic};"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Site(ThreadingHTTPServer):
    """Serves two pages and a style sheet, to this machine only."""

    daemon_threads = True

    def __init__(self, port: int, clinic: str) -> None:
        super().__init__((LOOPBACK, port), Page)
        self.clinic = clinic


class Page(BaseHTTPRequestHandler):
    """GET, and nothing that was not put here by us."""

    server: Site

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/site.css":
            self._answer(200, "text/css", (HERE / "site.css").read_text())
        elif path in PAGES:
            self._answer(200, "text/html", self._page(*PAGES[path]))
        else:
            self._answer(
                404, "text/html", "<!doctype html><title>404</title><p>Нет такой страницы."
            )

    def _page(self, form_key: str, title: str) -> str:
        page = (HERE / "page.html").read_text()
        for name, value in (
            ("form", f"{self.server.clinic}/f/{form_key}?embed=1"),
            ("title", title),
            ("appointment", "page" if form_key == "appointment" else "false"),
            ("question", "page" if form_key == "question" else "false"),
        ):
            page = page.replace(f"[[{name}]]", value)
        return page

    def _answer(self, status: int, kind: str, content: str) -> None:
        body = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY.format(clinic=self.server.clinic))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """A line for each request would drown what the clinic says."""


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="devtools.site")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clinic", required=True, metavar="URL", help="PUBLIC_URL of the clinic")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Site(arguments.port, arguments.clinic.rstrip("/")) as site:
        try:
            site.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
