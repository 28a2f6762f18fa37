"""How the commands speak: one JSON document on stdout with --json, readable lines without; logs always on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from chain.errors import Malformed

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; logs go to stderr.")]

MARKS = {"ok": "ok", "well": "ok", "warning": "!", "problem": "FAULT", "unknown": "?"}
MAX_INPUT_BYTES = 64 << 20


def emit(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print `result` as one JSON line, or `text` for a person."""
    print(json.dumps(result, separators=(",", ":")) if as_json else text, flush=True)


def listed(document: Mapping[str, Any]) -> str:
    """A flat document as lines for a person: name, value; unknown stays unknown, a list of things gets a line each."""
    lines: list[str] = []
    for name, value in document.items():
        items = value if isinstance(value, list) and value else [value]
        names = [name.replace("_", " ")] + [""] * (len(items) - 1)
        lines += [f"{label:<26}{spoken(item)}" for label, item in zip(names, items, strict=True)]
    return "\n".join(lines)


def spoken(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {spoken(item)}" for name, item in value.items())
    return "none" if value == [] else str(value)


def finding_line(verdict: str, name: str, said: str, advice: str, name_columns: int = 10) -> str:
    """What a doctor found, for a person, with what to do about it on a line of its own."""
    what_to_do = f"\n{'':<{6 + name_columns}}→ {advice}" if advice else ""
    return f"{MARKS[verdict]:<6}{name:<{name_columns}}{said}{what_to_do}"


def note(message: str) -> None:
    """Tell a person something without touching stdout."""
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[..., None]]:
    """A bar on stderr while something long runs; hidden where stderr is not a terminal.

    Yields a function of (done, total) and, where the work has several parts, what is being done now.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def told(done: int, total: int, now: str = what) -> None:
            bar.update(task, completed=done, total=total, description=now)

        yield told


def read_input(source: str) -> bytes:
    """The bytes of a file, or of standard input for `-`; at most 64 MiB."""
    try:
        if source == "-":
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise Malformed("usage", f"reading {source!r}: {error.strerror}") from error
    if len(data) > MAX_INPUT_BYTES:
        raise Malformed("too_large", f"reading {source!r}: over {MAX_INPUT_BYTES} bytes")
    return data


def read_json(source: str) -> dict[str, Any]:
    """The JSON object in a file or on standard input; Malformed says in which line it breaks."""
    try:
        document = json.loads(read_input(source))
    except (ValueError, RecursionError) as error:
        raise Malformed("malformed", f"reading {source!r} as JSON: {error}") from error
    if not isinstance(document, dict):
        raise Malformed("malformed", f"reading {source!r}: expected a JSON object, found {type(document).__name__}")
    return document


def hex_bytes(text: str, name: str, size: int | None = None) -> bytes:
    """Bytes from hexadecimal digits; Malformed names the option and the size it wants."""
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise Malformed("malformed", f"{name}: {text[:80]!r} is not hexadecimal") from error
    if size is not None and len(data) != size:
        raise Malformed("malformed", f"{name}: {len(data)} bytes, expected {size}")
    return data
