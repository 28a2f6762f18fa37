"""What the doctor tells, in a file that agent and console read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from appliance.agent.files import write_json
from chain.files import read
from fleet.protocol.messages import Problem

FILE: Final = "problems.json"
FOLDER: Final = Path("/run/dccn-doctor")
MAX_REPORT_BYTES: Final = 1 << 20
STALE_MS: Final = 15 * 60 * 1000
"""A report of a doctor that stopped looking says nothing about now."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`at_ms` is when the doctor last looked; `quarantined` are PCI addresses of cards that take no work."""

    at_ms: int
    problems: list[Problem] = []
    quarantined: list[str] = []


def write(folder: Path, told: Report) -> None:
    """For everybody on this machine. Raises Faulty."""
    write_json(folder / FILE, msgspec.to_builtins(told), sync=False)


def load(folder: Path, now_ms: int) -> Report | None:
    """The doctor's last report; None where there is none, none that can be read, or an old one only."""
    data = read(folder / FILE, MAX_REPORT_BYTES)
    try:
        found = msgspec.json.decode(data or b"", type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if now_ms - found.at_ms < STALE_MS else None
