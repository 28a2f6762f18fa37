"""The explorer over HTTP: pages, their JSON, the search field, one style sheet."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from chain.errors import REGISTRY, DccnError, Malformed
from chain.history.explorer.documents import PATH_MAX_CHARACTERS, Explorer
from chain.history.explorer.now import Now
from chain.history.explorer.rendering import STYLE_PATH, Renderer
from chain.history.search import Place
from chain.history.store import Index

STATUS_BY_CODE: Final = {
    "not_found": 404,
    "tx_not_found": 404,
    "height_unknown": 404,
    "index_unreachable": 503,
    "index_invalid": 500,
    "disk_full": 500,
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_BEFORE: Final = re.compile(r"(\d{1,18}):(-1|\d{1,9})", re.ASCII)


def page_server(index: Index, listen: str, port: int, rpc_url: str | None = None) -> ThreadingHTTPServer:
    """A server that only reads, run and shut down by the caller; a node at `rpc_url` tells what the state says now."""
    explorer, renderer = Explorer(index, None if rpc_url is None else Now(rpc_url, index)), Renderer()

    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        wbufsize = 64 * 1024  # head and body in one packet; two of them wait 40 ms for the reader's acknowledgement
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "dccn", ""

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == STYLE_PATH:
                self._answer(200, renderer.style, "text/css; charset=utf-8", "max-age=3600")
                return
            as_json = url.path.endswith(".json")
            try:
                query = parse_qs(url.query, max_num_fields=4)
                if url.path == "/search":
                    self._redirect(explorer.target(query.get("q", [""])[0][:PATH_MAX_CHARACTERS]))
                    return
                self._document(200, explorer.document(url.path.removesuffix(".json"), _before(query)), as_json)
            except DccnError as error:
                self._document(STATUS_BY_CODE.get(error.code, 400), _fault(error), as_json)
            except ValueError:
                self._document(400, _fault(Malformed("usage", "the address cannot be read")), as_json)

        def do_HEAD(self) -> None:
            self.do_GET()

        def _document(self, status: int, document: dict[str, Any], as_json: bool) -> None:
            if as_json:
                self._answer(status, json.dumps(document), "application/json")
            else:
                self._answer(status, renderer.page(document), "text/html; charset=utf-8")

        def _answer(self, status: int, text: str, kind: str, kept: str = "no-store") -> None:
            body = text.encode("utf-8", "replace")
            self.send_response(status)
            own = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": kept}
            for name, value in {**_HEADERS, **own}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _redirect(self, target: str) -> None:
            self.send_response(303)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Readers are not written down."""

    server = ThreadingHTTPServer((listen, port), Handler)
    server.daemon_threads = True
    return server


def _fault(error: DccnError) -> dict[str, Any]:
    return {"page": "fault", "title": error.message, "code": error.code, "remedy": REGISTRY[error.code].remedy}


def _before(query: dict[str, list[str]]) -> Place | None:
    if "before" not in query:
        return None
    match = _BEFORE.fullmatch(query["before"][0])
    if match is None:
        raise Malformed("usage", f"before is HEIGHT:POSITION of the last one seen, not {query['before'][0][:40]!r}")
    return int(match[1]), int(match[2])
