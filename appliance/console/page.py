"""The face as one page for the local network: no script, no request to anywhere, nothing to press."""

from __future__ import annotations

import io
from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import segno

from appliance.console import words
from appliance.console.facts import Facts

REFRESH_S = 5
TIMEOUT_S = 10
STYLE = """\
:root{color-scheme:light dark;font:18px/1.5 system-ui,sans-serif}
body{max-width:34rem;margin:8vh auto;padding:0 1.2rem}
h1{font-size:1.5rem;line-height:1.25}
.code{font:600 2.6rem/1.4 ui-monospace,monospace;letter-spacing:.18em;margin:1.4rem 0 .6rem}
svg{background:#fff;padding:.6rem;border-radius:.4rem;width:12rem;height:12rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.4rem;margin-top:2rem}
dt{opacity:.65}dd{margin:0;overflow-wrap:anywhere}
"""
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def page(facts: Facts) -> str:
    """A whole document; everything from outside is escaped."""
    claim = ""
    if facts.code is not None:
        claim = f'<p class="code">{escape(facts.code)}</p>{qr(facts.code)}'
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in words.lines(facts))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(facts.hostname)}</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="{REFRESH_S}">'
        f"<style>{STYLE}</style></head><body><h1>{escape(words.sentence(facts))}</h1>"
        f"<p>{escape(words.advice(facts))}</p>{claim}<dl>{rows}</dl></body></html>\n"
    )


def qr(text: str) -> str:
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", xmldecl=False, svgns=False, omitsize=True, border=2)
    return out.getvalue().decode()


def server(host: str, port: int, look: Callable[[], Facts]) -> ThreadingHTTPServer:
    """Answers every GET with the page; the caller runs and stops it."""

    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S
        server_version, sys_version = "dccn", ""

        def do_GET(self) -> None:
            found = self.path in ("/", "/index.html")
            body = page(look()).encode() if found else b""
            self.send_response(200 if found else 404)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    made = ThreadingHTTPServer((host, port), Handler)
    made.daemon_threads = True
    return made
