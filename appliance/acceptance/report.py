"""The outcome of the hardware tests as one document: JSON for people and tools, `acc1` for the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from chain.errors import Malformed
from chain.files import PUBLIC_MODE, read, replace
from fleet.protocol.acceptance import MAX_REPORT_BYTES, MAX_TEXT, Acceptance, Outcome, Result

FORMAT: Final = 1
MAX_FILE_BYTES: Final = 4 * MAX_REPORT_BYTES


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One test of the report file."""

    test: str
    outcome: Outcome
    said: str = ""
    milliseconds: int = 0
    values: dict[str, str] = {}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The report file. `required`: what an absent part of would have been a failure."""

    format: int
    profile: str
    level: str
    started_ms: int
    ended_ms: int
    machine: dict[str, str | int | None]
    required: list[str] = []
    results: list[Measured]

    @property
    def is_passed(self) -> bool:
        """Nothing failed, and something passed."""
        outcomes = {each.outcome for each in self.results}
        return "failed" not in outcomes and "passed" in outcomes


def write(path: Path, document: Document) -> None:
    """Raises Faulty when the file cannot be written."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    replace(path, text + b"\n", mode=PUBLIC_MODE)


def load(path: Path) -> Document:
    """Raises Malformed for a file that is not there or is no report."""
    data = read(path, MAX_FILE_BYTES)
    if data is None or len(data) > MAX_FILE_BYTES:
        raise Malformed("usage", f"there is no report of hardware tests in {path}")
    try:
        document = msgspec.json.decode(data, type=Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("malformed", f"{path} is not a report of hardware tests: {error}") from None
    if document.format != FORMAT:
        raise Malformed("malformed", f"{path} is a report of format {document.format}, known is {FORMAT}")
    return document


def acceptance(document: Document, device: bytes, nonce: bytes) -> Acceptance:
    """What the device signs: the results without their measured values, which stay in the file.

    Raises Malformed when the report is more than a report is.
    """
    results = [
        Result(each.test[:MAX_TEXT], each.outcome, each.said[:MAX_TEXT], each.milliseconds) for each in document.results
    ]
    return Acceptance(
        device=device,
        profile=document.profile,
        level=document.level,
        started_ms=document.started_ms,
        ended_ms=document.ended_ms,
        results=tuple(results),
        nonce=nonce,
    )
