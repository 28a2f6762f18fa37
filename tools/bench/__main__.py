"""Runs every bench (or those named), prints a table, writes bench.json.

Usage: python -m tools.bench [NAME ...]    (`sustained`, which takes ten minutes, runs only when it is named)
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from tools.bench.measure import Row

BENCHES = (
    "records", "transfers", "tree", "pog", "simulator", "light", "agent", "demo", "abci", "election", "statesync",
    "network", "updates",
)  # fmt: skip
ON_DEMAND = ("sustained",)
RESULT = Path("bench.json")


def main() -> int:
    wanted = sys.argv[1:] or BENCHES
    unknown = sorted(set(wanted) - {*BENCHES, *ON_DEMAND})
    if unknown:
        known = ", ".join((*BENCHES, *ON_DEMAND))
        print(f"bench: no bench is called {', '.join(unknown)}; there are {known}", file=sys.stderr)
        return 2
    rows = list(measured(wanted))
    Console(width=max(100, Console().width)).print(table(rows))
    document = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rows": [as_json(row) for row in rows],
    }
    RESULT.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {RESULT}")
    return 0


def measured(names: tuple[str, ...] | list[str]) -> Iterator[Row]:
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), console=Console(stderr=True), transient=True
    ) as progress:
        task = progress.add_task("")
        for name in names:
            progress.update(task, description=f"measuring {name}")
            yield from importlib.import_module(f"tools.bench.{name}").rows()


def table(rows: list[Row]) -> Table:
    result = Table("what", "figure", "against", "ratio", "aim", "", title="dccn bench", title_justify="left")
    for row in rows:
        aim = "" if row.aim is None else f"{row.aim[0]} {row.aim[1]:g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
        mark = {None: "", True: "[green]reached[/]", False: "[red]missed[/]"}[row.reached]
        against = "" if row.limit is None else f"{row.against}: {row.limit:,.4g}"
        result.add_row(row.name, f"{row.figure:,.4g} {row.unit}", against, ratio, aim, mark)
    return result


def as_json(row: Row) -> dict[str, object]:
    return {**asdict(row), "ratio": row.ratio, "reached": row.reached}


if __name__ == "__main__":
    sys.exit(main())
