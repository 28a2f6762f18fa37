"""What the explorer shows under a path, as a document: the page is made of it, and `.json` is it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, unquote

from chain.crypto import address
from chain.errors import Malformed, Refused
from chain.history.explorer.now import Now
from chain.history.mentions import ADDRESS, DEVICE
from chain.history.search import History, Place
from chain.history.shown import block_document, happening_document
from chain.history.store import Index
from chain.wire.rfc3339 import format_time

PAGE_ROWS: Final = 50
PATH_MAX_CHARACTERS: Final = 300
PROPOSER_BLOCKS: Final = 10_000
"""So many of the newest blocks are counted for the table of who proposed them."""


class Explorer:
    """Answers for a path; `now` asks the chain's state beside the index, None without a node."""

    def __init__(self, index: Index, now: Now | None = None) -> None:
        self._history = History(index)
        self._now = now

    def document(self, path: str, before: Place | None = None) -> dict[str, Any]:
        """The member `page` names the template.

        Raises Malformed `usage`, Refused `not_found`, `tx_not_found`, `height_unknown`.
        """
        if len(path) > PATH_MAX_CHARACTERS:
            raise Malformed("usage", f"a path of {len(path)} characters")
        parts = [unquote(part) for part in path.strip("/").split("/") if part]
        low, high = self._history.range()
        about = {"chain_id": self._history.chain_id, "indexed": [low, high]}
        match parts:
            case []:
                return about | self._newest(before)
            case ["validators"]:
                return about | self._validators()
            case ["block", text]:
                return about | self._block(text)
            case ["tx", text]:
                return about | self._transaction(text)
            case [("address" | "device" | "deal") as kind, text]:
                return about | self._subject(kind, text, before)
        raise Refused("not_found", f"nothing is at {path[:80]!r}")

    def target(self, wanted: str) -> str:
        """The path that shows what somebody typed: a height, an address, a transaction's or a device's hash."""
        text = wanted.strip()
        if text.lower().startswith(address.HUMAN_PREFIX + "1"):
            return f"/address/{quote(text.lower())}"
        if _is_height(text):
            return f"/block/{text}"
        known = _unhex(text, "what you search for")
        if self._history.by_hash(known):
            return f"/tx/{known.hex()}"
        if self._history.by_mention(DEVICE, known, 1):
            return f"/device/{known.hex()}"
        return f"/deal/{known.hex()}"

    def _newest(self, before: Place | None) -> dict[str, Any]:
        rows = self._history.newest(PAGE_ROWS, None if before is None else before[0])
        shown = [
            {
                "height": one.height,
                "hash": one.hash.hex(),
                "time": format_time(one.time_ns),
                "proposer": one.proposer.hex(),
                "transactions": one.transactions - 1,
            }
            for one in rows
        ]
        older = f"{rows[-1].height}:0" if len(rows) == PAGE_ROWS else None
        return {"page": "home", "title": self._history.chain_id or "empty index", "blocks": shown, "older": older}

    def _validators(self) -> dict[str, Any]:
        counted, proposers = self._history.proposers(PROPOSER_BLOCKS)
        blocks = {proposer.hex(): count for proposer, count in proposers}
        now = None if self._now is None else self._now.validators()
        rows: list[dict[str, Any]] = [] if now is None else now.pop("validators", [])
        seen = {row["validator"] for row in rows}
        rows += [{"validator": validator} for validator in blocks if validator not in seen]
        shown = [row | {"blocks": blocks.get(row["validator"], 0)} for row in rows]
        return {"page": "validators", "title": "Validators", "counted": counted, "validators": shown, "now": now}

    def _block(self, text: str) -> dict[str, Any]:
        block = self._history.by_height(int(text)) if _is_height(text) else None
        if block is None:
            raise Refused("height_unknown", f"block {text[:40]!r} is not in the index")
        return {"page": "block", "title": f"Block {block.height}", **block_document(block)}

    def _transaction(self, text: str) -> dict[str, Any]:
        known = _unhex(text, "a transaction")
        found = self._history.by_hash(known)
        if not found:
            raise Refused("tx_not_found", f"transaction {text[:80]!r} is not in the index")
        happenings = [happening_document(one) for one in found]
        return {"page": "transaction", "title": f"Transaction {known.hex()}", "happenings": happenings}

    def _subject(self, kind: str, text: str, before: Place | None) -> dict[str, Any]:
        value = address.decode(text) if kind == ADDRESS else _unhex(text, f"a {kind}")
        found = self._history.by_mention(kind, value, PAGE_ROWS, before)
        name = address.encode(value) if kind == ADDRESS else value.hex()
        return {
            "page": "subject",
            "title": f"{'Account' if kind == ADDRESS else kind.capitalize()} {name}",
            "kind": kind,
            "name": name,
            "now": None if self._now is None or before is not None else self._now.subject(kind, value),
            "happenings": [happening_document(one) for one in found],
            "older": f"{found[-1].height}:{found[-1].position}" if len(found) == PAGE_ROWS else None,
        }


def _is_height(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _unhex(text: str, what: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if not 1 <= len(value) <= 32:
        raise Malformed("usage", f"{what} is 2 to 64 hex digits, not {text[:80]!r}")
    return value
