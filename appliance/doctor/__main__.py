"""`python -m appliance.doctor STATE FACE`: one round. The unit's timer asks for the next one.

STATE is a folder that lasts, FACE one that everybody on this machine may read.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from appliance.doctor import report
from appliance.doctor.hands import HelperHands
from appliance.doctor.here import boot_s, this_machine
from appliance.doctor.report import Report
from appliance.doctor.round import Doctor
from appliance.helper.client import SOCKET, Helper
from chain.errors import DccnError

HISTORY = "history.json"


def main(state: Path, face: Path) -> int:
    """0 whether or not something ails: the report tells. 1 when it cannot be told or remembered."""
    machine = this_machine(data=state)
    try:
        told = Doctor(machine, state / HISTORY, hands if SOCKET.exists() else None).round(machine.boot, boot_s())
        report.write(face, told)
    except DccnError as error:
        print(f"dccn: {error} {error.remedy}", file=sys.stderr)
        return 1
    say(told)
    return 0


def hands(uuids: Mapping[str, str]) -> HelperHands:
    return HelperHands(Helper().ask, uuids)


def say(told: Report) -> None:
    """A line in the log for each problem, with the last thing that was tried."""
    for problem in told.problems:
        last = f"; {problem.attempts[-1].repair} {problem.attempts[-1].outcome}" if problem.attempts else ""
        print(f"{problem.severity} {problem.kind} {problem.subject}: {problem.said}{last}", flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
