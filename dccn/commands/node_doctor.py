"""`dccn node doctor`: what ails a node, and where its state parts from another one's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Refused
from dccn.homes import data_home
from dccn.output import Json, emit, finding_line, note

if TYPE_CHECKING:
    from chain.node.doctor.difference import Difference


def doctor(
    home: Annotated[Path | None, typer.Option(help="The node's home. [default: ~/.local/share/dccn/node]")] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL|HOME",
            help="Find the first key in which this node's state differs from another one's: the RPC address of a "
            "node, or a home. Give it twice to compare two others.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for what ails a node: versions, disk, state, keys, clock, ports, peers. Exits 1 for any fault."""
    chosen = home or data_home("node")
    if compare:
        _compare([str(chosen), *compare][-2:], as_json)
        return
    from chain.node.doctor.examine import examine

    found = []
    for name, finding in examine(chosen, time.time_ns()):
        found.append((name, finding))
        if not as_json:
            print(finding_line(finding.verdict, name, finding.said, finding.advice), flush=True)
    faults = [f"{name}: {finding.said}" for name, finding in found if finding.verdict == "problem"]
    if as_json:
        rows = [
            {"check": name, "verdict": one.verdict.value, "said": one.said, "advice": one.advice} for name, one in found
        ]
        emit({"ok": not faults, "home": str(chosen), "findings": rows}, "", as_json=True)
    if faults:
        note(f"dccn: {len(faults)} faults" if len(faults) > 1 else "dccn: one fault")
        raise typer.Exit(1)


def _compare(pair: list[str], as_json: bool) -> None:
    from chain.node.doctor.difference import first_difference
    from chain.node.doctor.sides import side

    if pair[0] == pair[1]:
        raise Refused("usage", f"{pair[0]} is compared with itself")
    with side(pair[0]) as left, side(pair[1]) as right:
        found = first_difference(left, right)
        height = min(left.heights()[1], right.heights()[1])
    if found is None:
        emit({"ok": True, "height": height, "difference": None}, f"both agree at height {height}", as_json=as_json)
        return
    document = _document(found, pair)
    lines = [
        f"first height   {found.height}" + (" or before: older ones are not kept" if found.since_before else ""),
        f"first key      {document['key'] or 'unknown to both'}",
        f"its SHA-256    {document['hashed_key']}",
        *(f"{where}\n               {document['values'][where] or 'absent or unknown'}" for where in pair),
    ]
    emit(document, "\n".join(lines), as_json=as_json)
    raise typer.Exit(1)


def _document(found: Difference, pair: list[str]) -> dict[str, Any]:
    return {
        "ok": False,
        "height": found.height,
        "since_before": found.since_before,
        "hashed_key": found.hashed_key.hex(),
        "key": None if found.key is None else _readable(found.key),
        "key_hex": None if found.key is None else found.key.hex(),
        "values": {
            where: None if value is None else _decoded(value) for where, value in zip(pair, found.values, strict=True)
        },
    }


def _readable(key: bytes) -> str:
    """The words of a key, and its raw part in hex: `account/` and 40 digits."""
    words = key[: key.rfind(b"/") + 1] if b"/" in key else key
    try:
        return words.decode("ascii") + key[len(words) :].hex()
    except UnicodeDecodeError:
        return key.hex()


def _decoded(value: bytes) -> str:
    from chain.wire import cbor

    return repr(cbor.decode(value))
