"""A plain explorer: the index as pages without scripts, and as JSON under the same addresses with `.json`."""

from __future__ import annotations

import json
import sqlite3
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from chain.crypto import address
from chain.errors import DccnError, Malformed, Refused
from chain.history.mentions import ADDRESS, DEVICE
from chain.history.search import History
from chain.history.shown import block_document, happening_document
from chain.wire.rfc3339 import format_time

PAGE_ROWS = 50
PATH_MAX_CHARACTERS = 300
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd;"
    "vertical-align:top;overflow-wrap:anywhere}input{font:inherit;width:min(40rem,80%)}code,.id{font-family:monospace}"
    "@media(prefers-color-scheme:dark){body{background:#151515;color:#ddd}a{color:#8ab4f8}td,th{border-color:#333}}"
)


class Explorer:
    """Answers for a path: what to show, as a document; reads of one connection take turns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._history = History(connection)
        self._lock = threading.Lock()

    def document(self, path: str, before: tuple[int, int] | None = None) -> dict[str, Any]:
        """Raises Malformed for a path that cannot be one, Refused `not_found`, `tx_not_found`, `height_unknown`."""
        if len(path) > PATH_MAX_CHARACTERS:
            raise Malformed("usage", f"a path of {len(path)} characters")
        parts = [unquote(part) for part in path.strip("/").split("/") if part]
        with self._lock:
            low, high = self._history.range()
            about = {"chain_id": self._history.chain_id, "indexed": [low, high]}
            match parts:
                case []:
                    return about | {"title": self._history.chain_id or "empty index", "blocks": self._newest()}
                case ["block", text]:
                    return about | {"title": f"Block {text}", **self._block(text)}
                case ["tx", text]:
                    return about | {"title": f"Transaction {text}", "happenings": self._transaction(text)}
                case [("address" | "device" | "deal") as kind, text]:
                    return about | {"title": f"{kind} {text}", "happenings": self._mentions(kind, text, before)}
        raise Refused("not_found", f"nothing is at {path[:80]!r}")

    def target(self, wanted: str) -> str:
        """The path that shows what somebody typed: a height, an address, a transaction's or a device's hash."""
        text = wanted.strip()
        if text.lower().startswith(address.HUMAN_PREFIX + "1"):
            return f"/address/{quote(text.lower())}"
        if text.isascii() and text.isdigit() and len(text) < 19:
            return f"/block/{text}"
        known = _unhex(text, "what you search for")
        with self._lock:
            if self._history.by_hash(known):
                return f"/tx/{text.lower()}"
            if self._history.by_mention(DEVICE, known, 1):
                return f"/device/{text.lower()}"
        return f"/deal/{text.lower()}"

    def _newest(self) -> list[dict[str, Any]]:
        return [
            {"height": height, "hash": block_hash.hex(), "time": format_time(time_ns), "transactions": count - 1}
            for height, block_hash, time_ns, count in self._history.newest(PAGE_ROWS)
        ]

    def _block(self, text: str) -> dict[str, Any]:
        height = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
        block = self._history.by_height(height)
        if block is None:
            raise Refused("height_unknown", f"block {text[:40]!r} is not in the index")
        return block_document(block)

    def _transaction(self, text: str) -> list[dict[str, Any]]:
        found = self._history.by_hash(_unhex(text, "a transaction"))
        if not found:
            raise Refused("tx_not_found", f"transaction {text[:80]!r} is not in the index")
        return [happening_document(one) for one in found]

    def _mentions(self, kind: str, text: str, before: tuple[int, int] | None) -> list[dict[str, Any]]:
        value = address.decode(text) if kind == ADDRESS else _unhex(text, f"a {kind}")
        return [happening_document(one) for one in self._history.by_mention(kind, value, PAGE_ROWS, before)]


def page_server(connection: sqlite3.Connection, listen: str, port: int) -> ThreadingHTTPServer:
    """A server that only reads; the caller runs it and shuts it down."""
    explorer = Explorer(connection)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            as_json = url.path.endswith(".json")
            try:
                query = parse_qs(url.query, max_num_fields=4)
                if url.path == "/search":
                    self._redirect(explorer.target(query.get("q", [""])[0][:PATH_MAX_CHARACTERS]))
                    return
                found = explorer.document(url.path.removesuffix(".json"), _before(query))
                self._send(200, found, as_json)
            except (DccnError, ValueError) as error:
                code = error.code if isinstance(error, DccnError) else "usage"
                status = 404 if code in ("not_found", "tx_not_found", "height_unknown") else 400
                said = error.message if isinstance(error, DccnError) else "the address cannot be read"
                self._send(status, {"title": said, "code": code}, as_json)

        def _send(self, status: int, document: dict[str, Any], as_json: bool) -> None:
            text = json.dumps(document) if as_json else render(document)
            kind = "application/json" if as_json else "text/html; charset=utf-8"
            body = text.encode("utf-8", "replace")
            self.send_response(status)
            for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
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


def render(document: dict[str, Any]) -> str:
    """A page of a document; everything in it is escaped, since chains and nodes may call things as they like."""
    title = escape(str(document["title"]))
    rows = "".join(_block_row(one) for one in document.get("blocks", []))
    rows += "".join(_happening_row(one) for one in document.get("happenings", []))
    facts = [(name, document[name]) for name in ("hash", "time", "proposer") if name in document]
    told = "".join(f"<p>{name}: <span class=id>{escape(str(value))}</span></p>" for name, value in facts)
    foot = ""
    if "indexed" in document:
        low, high = document["indexed"]
        foot = f"<p>Chain {escape(document['chain_id'])}, heights {low} to {high}.</p>"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style><p><a href='/'>newest blocks</a></p>"
        "<form action='/search'><label>Find a height, address, transaction or device: <input name=q></label></form>"
        f"<h1 class=id>{title}</h1>{told}<table>{rows}</table>{foot}</html>"
    )


def _block_row(one: dict[str, Any]) -> str:
    link = _link("block", str(one["height"]))
    return f"<tr><td>{link}<td>{escape(one['time'][:19])}<td>{one['transactions']} transactions"


def _happening_row(one: dict[str, Any]) -> str:
    parts = [_link("block", str(one["height"])), escape(one["time"][:19]), escape(one["type"])]
    who = [f"{name} {_link('address', one[key])}" for name, key in (("from", "from"), ("to", "to")) if key in one]
    parts.append("<br>".join(who))
    parts.append(f"{escape(one['amount'])} ANKR" if "amount" in one else "")
    parts.append(escape(one["result"] if one["result"] == "ok" else f"{one['result']}: {one['log']}"))
    parts.append(_link("tx", one["hash"]) if one["hash"] else "")
    events = "<br>".join(
        escape(f"{event['type']} " + " ".join(f"{key}={value}" for key, value in event["attributes"].items()))
        for event in one["events"]
    )
    return "<tr><td>" + "<td>".join([*parts, f"<code>{events}</code>"])


def _link(kind: str, text: str) -> str:
    return f"<a class=id href='/{kind}/{quote(text)}'>{escape(text)}</a>"


def _before(query: dict[str, list[str]]) -> tuple[int, int] | None:
    height, _, position = query.get("before", [""])[0][:40].partition(":")
    return (int(height), int(position)) if height and position else None


def _unhex(text: str, what: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if not 1 <= len(value) <= 32:
        raise Malformed("usage", f"{what} is 2 to 64 hex digits, not {text[:80]!r}")
    return value
