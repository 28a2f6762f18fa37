"""Writes the tables of a protocol document: `python -m fleet.protocol.documentation docs/protocol.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from chain.errors import Malformed
from fleet.protocol.messages import UNKNOWN_REASONS
from fleet.protocol.topics import LEAVES, Leaf


def tables() -> dict[str, str]:
    """Markdown by the name of its place in the document."""
    return {
        "topics": _table(
            ("Leaf", "Direction", "QoS", "Retained", "Expires", "Content type", "At most", "What it says"),
            [_row(leaf) for leaf in LEAVES],
        ),
        "unknown": _table(("Reason", "Meaning"), [(f"`{code}`", text) for code, text in UNKNOWN_REASONS.items()]),
    }


def filled(document: str) -> str:
    """The document with its generated places brought up to date. Raises Malformed when one is missing."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        head, found, rest = document.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise Malformed("malformed", f"the document has no place {begin.strip()} … {end}")
        document = f"{head}{begin}{table}{end}{tail}"
    return document


def _row(leaf: Leaf) -> tuple[str, ...]:
    return (
        f"`{leaf.name}`",
        "device → hub" if leaf.direction == "up" else "hub → device",
        str(leaf.qos),
        "yes" if leaf.retain else "no",
        "never" if leaf.expiry_s is None else f"{leaf.expiry_s} s",
        f"`{leaf.content_type}`",
        f"{leaf.max_bytes} B",
        leaf.meaning,
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
