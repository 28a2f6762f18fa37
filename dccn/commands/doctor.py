"""`dccn doctor`: what ails this machine. It looks, and leaves repairs to the appliance's own doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dccn.homes import data_home
from dccn.output import Json, emit, finding_line, note

NAME_COLUMNS = 13


def doctor(
    home: Annotated[
        Path | None,
        typer.Option(help="The agent's home. [default: the appliance's, or ~/.local/share/dccn/agent]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for what ails this machine: cards, heat, disks, memory, clock, network, agent. Exits 1 for any fault."""
    from appliance.doctor.examine import examine
    from appliance.doctor.here import PLACES, this_machine
    from appliance.doctor.problems import KINDS

    own = data_home("agent")
    places = [home] if home is not None else [*PLACES, own]
    agent = next((place for place in places if (place / "status.json").exists()), own)
    data = next(each for each in (home or own, *(home or own).parents) if each.exists())
    rows = []
    for name, finding in examine(this_machine(data=data, agent=agent)):
        kind = KINDS[finding.kind] if finding.kind is not None and finding.verdict == "problem" else None
        advice = kind.advice if kind is not None else ""
        if not as_json:
            print(finding_line(finding.verdict, name, finding.said, advice, NAME_COLUMNS), flush=True)
        rows.append(
            {
                "check": name,
                "verdict": finding.verdict.value,
                "kind": finding.kind,
                "subject": finding.subject,
                "severity": kind.severity if kind is not None else None,
                "said": finding.said,
                "advice": advice,
            }
        )
    faults = sum(row["verdict"] == "problem" for row in rows)
    if as_json:
        emit({"ok": not faults, "findings": rows}, "", as_json=True)
    if faults:
        note(f"dccn: {faults} faults" if faults > 1 else "dccn: one fault")
        raise typer.Exit(1)
